import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createLocalPipeline } from '@cygni/builder-local';
import type { BuildSource } from '@cygni/core';
import { createImageClient } from '@cygni/registry-oci';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sourceOf } from './support/archive.ts';
import { build, call, jobOf, openPipeline, tagImage } from './support/build.ts';
import { close, listen, startRegistry, type TestRegistry } from './support/registry.ts';

let registry: TestRegistry;
beforeAll(async () => {
  registry = await startRegistry();
});
afterAll(() => registry[Symbol.asyncDispose]());

const files = { Dockerfile: 'FROM scratch\nCOPY a /\nLABEL x=y\n', a: '1' };

/** A source that gives nothing until it is let go, or its reader is aborted. */
async function heldSource() {
  const whole = await sourceOf(files);
  const opened = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const source: BuildSource = {
    ...whole,
    async open(each) {
      opened.resolve();
      const aborted = new Promise<never>((_, reject) =>
        each.signal.addEventListener('abort', () => reject(each.signal.reason)),
      );
      await Promise.race([gate.promise, aborted]);
      return whole.open(each);
    },
  };
  return { source, opened: opened.promise, release: gate.resolve };
}

const start = () => openPipeline({ engine: 'assemble', images: registry.images });

describe('a run', () => {
  it('is found again under its build and attempt, and is another for the next attempt', async () => {
    await using local = await start();
    const { source, release } = await heldSource();
    const job = await jobOf(registry, { source });
    const [first, again] = await Promise.all([
      local.pipeline.start(job, call()),
      local.pipeline.start(job, call()),
    ]);
    expect(again).toBe(first);
    const next = await local.pipeline.start({ ...job, attempt: 2 }, call());
    expect(next).not.toBe(first);
    release();
    expect(await first.wait(call())).toEqual(await next.wait(call()));
    expect(await local.pipeline.start(job, call())).toBe(first);
  });

  it('is cancelled: its outcome says so, again and again, and nothing is left', async () => {
    await using local = await start();
    const { source, opened } = await heldSource();
    const run = await local.pipeline.start(await jobOf(registry, { source }), call());
    await opened;
    await run.cancel(call());
    await run.cancel(call());
    expect(await run.wait(call())).toMatchObject({ status: 'failed', reason: 'cancelled' });
    expect(await local.remains()).toEqual([]);
  });

  it('keeps its outcome when it is cancelled after its end', async () => {
    await using local = await start();
    const run = await local.pipeline.start(await jobOf(registry, { files }), call());
    const outcome = await run.wait(call());
    await run.cancel(call());
    expect(await run.wait(call())).toEqual(outcome);
    expect(outcome.status).toBe('succeeded');
  });

  it('ends at its deadline', async () => {
    await using local = await start();
    const { source } = await heldSource();
    const job = await jobOf(registry, { source, timeoutSeconds: 0.1 });
    const { outcome, lines } = await build(local.pipeline, job);
    expect(outcome).toEqual({
      status: 'failed',
      reason: 'deadline',
      message: 'the build took longer than 0.1 s',
    });
    expect(lines).toEqual(['deadline: the build took longer than 0.1 s']);
    expect(await local.remains()).toEqual([]);
  });

  it('goes on when a call that waits for it is aborted', async () => {
    await using local = await start();
    const { source, release } = await heldSource();
    const run = await local.pipeline.start(await jobOf(registry, { source }), call());
    const controller = new AbortController();
    const waiting = run.wait(call(controller.signal));
    const reading = run.logs({ after: 0 }, call(controller.signal))[Symbol.asyncIterator]().next();
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'aborted' });
    await expect(reading).rejects.toMatchObject({ code: 'aborted' });
    release();
    expect(await run.wait(call())).toMatchObject({ status: 'succeeded' });
  });

  it('ends when the pipeline is closed, which leaves nothing behind', async () => {
    await using local = await start();
    const { source, opened } = await heldSource();
    const run = await local.pipeline.start(await jobOf(registry, { source }), call());
    await opened;
    await Promise.all([local.pipeline.close(), local.pipeline.close()]);
    expect(await run.wait(call())).toMatchObject({ reason: 'cancelled' });
    expect(await readdir(local.directory)).toEqual([]);
    await expect(
      local.pipeline.start(await jobOf(registry, { files }), call()),
    ).rejects.toMatchObject({ code: 'closed' });
  });
});

describe('logs', () => {
  it('are numbered from 1, followed while they grow, and resumed after a position', async () => {
    await using local = await start();
    const { source, release } = await heldSource();
    const run = await local.pipeline.start(await jobOf(registry, { source }), call());
    const followed = collect(run.logs({ after: 0 }, call()));
    release();
    await run.wait(call());
    const lines = await followed;
    expect(lines.map((line) => line.position)).toEqual(lines.map((_, index) => index + 1));
    expect(lines.slice(0, 3).map((line) => line.text)).toEqual([
      '[1/3] FROM scratch',
      '[2/3] COPY a /',
      '[3/3] LABEL x=y',
    ]);
    expect(await collect(run.logs({ after: 2 }, call()))).toEqual(lines.slice(2));
    expect(await collect(run.logs({ after: 99 }, call()))).toEqual([]);
  });

  it('are cut at their limit with a visible mark', async () => {
    await using local = await openPipeline({
      engine: 'assemble',
      images: registry.images,
      limits: { logBytes: 100 },
    });
    const { outcome, lines } = await build(local.pipeline, await jobOf(registry, { files }));
    expect(outcome.status).toBe('succeeded');
    expect(lines.at(-1)).toBe('[the log is longer than 100 bytes; the rest is dropped]');
    expect(lines.length).toBeLessThan(4);
  });

  it('of old runs are deleted; the newest stay', async () => {
    await using local = await openPipeline({
      engine: 'assemble',
      images: registry.images,
      limits: { endedRuns: 1 },
    });
    const runs = [];
    for (let index = 0; index < 3; index += 1) {
      const run = await local.pipeline.start(await jobOf(registry, { files }), call());
      await run.wait(call());
      runs.push(run);
    }
    const [oldest, , newest] = runs;
    await expect(collect(oldest?.logs({ after: 0 }, call()) ?? [])).rejects.toMatchObject({
      code: 'not_found',
    });
    expect((await collect(newest?.logs({ after: 0 }, call()) ?? [])).length).toBeGreaterThan(3);
  });
});

describe('a registry', () => {
  it('that wants other credentials is registry_auth', async () => {
    await using guarded = await startRegistry('acme:right');
    await using local = await openPipeline({ engine: 'assemble', images: guarded.images });
    const credentials = (password: string) => ({
      username: 'acme',
      password,
      expiresAt: null,
      reach: 'repository' as const,
    });
    const at = (password: string) => ({
      ...guarded.at('acme/app'),
      credentials: credentials(password),
    });
    const refused = await build(
      local.pipeline,
      await jobOf(guarded, { files, destination: at('wrong-canary') }),
    );
    expect(refused.outcome).toMatchObject({ status: 'failed', reason: 'registry_auth' });
    expect(JSON.stringify(refused)).not.toContain('canary');
    const accepted = await build(
      local.pipeline,
      await jobOf(guarded, { files, destination: at('right') }),
    );
    if (accepted.outcome.status === 'failed') throw new Error(accepted.lines.join('\n'));
    await tagImage(guarded, at('right'), accepted.outcome.digest, '1');
    const own = { ...files, Dockerfile: `FROM ${guarded.host}/acme/app:1\nCOPY a /b\n` };
    const destination = at('right');
    expect(
      (await build(local.pipeline, await jobOf(guarded, { files: own, destination }))).outcome,
    ).toMatchObject({ status: 'succeeded' });
    // The same credentials would open it, but it is another tenant's.
    const stolen = await jobOf(guarded, { files: own, destination, tenantId: 'other' });
    expect((await build(local.pipeline, stolen)).outcome).toMatchObject({ reason: 'image_pull' });
  });

  it('that ceases to take the credentials in the middle of a push is sent new ones', async () => {
    await using guarded = await startRegistry('acme:first');
    await using local = await openPipeline({ engine: 'assemble', images: guarded.images });
    const credentials = (password: string) => ({
      ...{ username: 'acme', password, expiresAt: null },
      reach: 'repository' as const,
    });
    const refused: string[] = [];
    const job = {
      ...(await jobOf(guarded, { files })),
      destination: { ...guarded.at('acme/app'), credentials: credentials('first') },
      async renewCredentials({ password }: { readonly password: string }) {
        refused.push(password);
        return credentials('second');
      },
    };
    // The layer is there, and neither the config nor the manifest.
    guarded.onceFinished('PUT', () => guarded.admit('acme:second'));
    const { outcome, lines } = await build(local.pipeline, job);
    if (outcome.status === 'failed') throw new Error(lines.join('\n'));
    expect(refused).toEqual(['first']);

    guarded.admit('acme:third');
    expect((await build(local.pipeline, { ...job, buildId: 'another' })).outcome).toMatchObject({
      status: 'failed',
      reason: 'registry_auth',
    });
    // One more try, and no third.
    expect(refused).toEqual(['first', 'first']);
  });

  it('that fails, or is not there, is registry_unavailable', async () => {
    const server = createServer((_, response) => response.writeHead(500).end());
    const host = await listen(server);
    await using images = createImageClient({ retry: { retries: 1, firstDelayMs: 10 } });
    await using local = await openPipeline({ engine: 'assemble', images });
    const destination = { host, repository: 'acme/app', insecure: true };
    const job = () => jobOf(registry, { files, destination });
    expect((await build(local.pipeline, await job())).outcome).toMatchObject({
      reason: 'registry_unavailable',
    });
    await close(server);
    expect((await build(local.pipeline, await job())).outcome).toMatchObject({
      reason: 'registry_unavailable',
    });
  });
});

describe('a pipeline', () => {
  it('removes what a process that is no more has left, and spares the living', async () => {
    await using local = await start();
    const dead = spawnSync('true').pid;
    const [alive] = await readdir(local.directory);
    const leftover = join(
      local.directory,
      `${hostname()}.${dead}.abcd`,
      `${randomUUID()}-1`,
      'work',
    );
    await mkdir(leftover, { recursive: true });
    await writeFile(join(leftover, 'x'), 'x');
    const other = createLocalPipeline({
      engine: 'assemble',
      images: registry.images,
      directory: local.directory,
    });
    await other.open(call());
    expect(await readdir(local.directory)).toEqual(expect.arrayContaining([alive]));
    expect(await readdir(local.directory)).toHaveLength(2);
    await other.close();
  });

  it('says what it is, and refuses wrong options', () => {
    const options = { images: registry.images, directory: '/nowhere' };
    expect(createLocalPipeline({ ...options, engine: 'assemble' })).toMatchObject({
      name: 'local (assemble)',
      specVersion: 1,
      supports: { run: false, cache: false, adopt: false },
    });
    expect(createLocalPipeline({ ...options, engine: 'docker' })).toMatchObject({
      name: 'local (docker)',
      supports: { run: true },
    });
    expect(() =>
      createLocalPipeline({ ...options, engine: 'assemble', limits: { entries: -1 } }),
    ).toThrow(expect.objectContaining({ code: 'invalid_configuration' }));
  });
});

async function collect<Item>(items: AsyncIterable<Item> | Iterable<Item>): Promise<Item[]> {
  const collected: Item[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}
