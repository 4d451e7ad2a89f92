import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, createBuilder, finished, printed, type TestBuilder } from './support/builder.ts';
import { registryProxyImage } from './support/registry-proxy-image.ts';
import { until } from './support/until.ts';

let builder: TestBuilder;

beforeAll(async () => {
  builder = await createBuilder();
});
afterAll(() => builder?.[Symbol.asyncDispose]());

const loop = 'for i in $(seq 600); do echo "tick $i"; sleep 0.1; done';

describe('a build that succeeds', () => {
  it('is proven by the registry, finds its layers again, and leaves nothing behind', async () => {
    await using pipeline = builder.open();
    await pipeline.open(call());
    const files = {
      Dockerfile: 'FROM busybox:1\nARG WHO\nRUN echo "hello $WHO" > /hello && cat /hello\n',
    };
    const buildArguments = { WHO: 'a $(CYGNI_CONTEXT) $$ --insecure' };
    const first = await builder.job({ files, buildArguments });
    const built = await finished(await pipeline.start(first, call()));
    expect(built.outcome).toMatchObject({
      status: 'succeeded',
      cache: { hits: 0, misses: 1, degraded: false },
    });
    expect(built.lines).toContain('hello a $(CYGNI_CONTEXT) $$ --insecure');
    const digest = built.outcome.status === 'succeeded' ? built.outcome.digest : '';
    const { repository } = first.destination;
    expect(await builder.registry.resolve(repository, digest, call())).toMatchObject({ digest });
    expect(await builder.registry.listTags(repository, { limit: 10 }, call())).toEqual([
      `attempt-${first.buildId}-1`,
    ]);

    const again = await builder.job({ files, buildArguments });
    expect((await finished(await pipeline.start(again, call()))).outcome).toMatchObject({
      status: 'succeeded',
      cache: { hits: 1, misses: 0, degraded: false },
    });
    await until(
      async () => (await builder.names('jobs,pods,secrets', first.buildId)).length === 0,
      20_000,
    );
  });

  it('has the whole log, also what a step prints last without a line feed', async () => {
    await using pipeline = builder.open();
    await pipeline.open(call());
    const Dockerfile = 'FROM busybox:1\nRUN echo first; printf "last words"\n';
    const job = await builder.job({ files: { Dockerfile } });
    const { outcome, lines } = await finished(await pipeline.start(job, call()));
    expect(outcome).toMatchObject({ status: 'succeeded' });
    expect(lines.filter((line) => !line.startsWith('time='))).toEqual(['first', 'last words']);
    await until(async () => (await builder.names('jobs,pods', job.buildId)).length === 0, 20_000);
  });

  it('tells neither where its source is nor any token of the cluster', async () => {
    await using pipeline = builder.open();
    await pipeline.open(call());
    const Dockerfile = [
      'FROM busybox:1',
      'RUN cat /proc/1/environ /proc/1/cmdline | tr "\\0" "\\n"; ls /var/run/secrets || true',
      'RUN find / -xdev -name token -o -name "*kube*" | grep . || echo nothing',
    ].join('\n');
    const job = await builder.job({ files: { Dockerfile } });
    const { outcome, lines } = await finished(await pipeline.start(job, call()));
    expect(outcome).toMatchObject({ status: 'succeeded' });
    expect(lines.join('\n')).toContain('CYGNI_CONTEXT=https://');
    expect(lines.join('\n')).not.toMatch(/signature=/);
    expect(lines).toContain('nothing');
  });
});

describe('a build that fails', () => {
  it('says which instruction failed, and how', async () => {
    await using pipeline = builder.open();
    await pipeline.open(call());
    const files = { Dockerfile: 'FROM busybox:1\nRUN echo before; exit 7\n' };
    const job = await builder.job({ files });
    const { outcome, lines } = await finished(await pipeline.start(job, call()));
    expect(outcome).toMatchObject({
      status: 'failed',
      reason: 'user_error',
      message: expect.stringMatching(/RUN .*exited with code 7/),
    });
    expect(lines).toContain('before');
    await until(async () => (await builder.names('jobs,pods', job.buildId)).length === 0, 20_000);
  });

  it('names a kaniko image that cannot be pulled within ten seconds', async () => {
    const image = `${process.env.REGISTRY}/no/such-kaniko:1`;
    await using pipeline = builder.open({ image });
    await pipeline.open(call());
    const job = await builder.job({ files: { Dockerfile: 'FROM scratch\n' } });
    const began = performance.now();
    const { outcome } = await finished(await pipeline.start(job, call()));
    expect(outcome).toMatchObject({
      status: 'failed',
      reason: 'platform_error',
      message: expect.stringContaining(image),
    });
    expect(performance.now() - began).toBeLessThan(10_000);
    await until(async () => (await builder.names('jobs', job.buildId)).length === 0, 10_000);
  });

  it('whose Job somebody else deletes says so', async () => {
    await using pipeline = builder.open();
    await pipeline.open(call());
    const files = { Dockerfile: `FROM busybox:1\nRUN ${loop}\n` };
    const job = await builder.job({ files });
    const run = await pipeline.start(job, call());
    await printed(run, 'tick 3');
    await builder.namespace.kubectl('delete', 'job', `build-${job.buildId}-1`, '--wait=false');
    const { outcome, lines } = await finished(run);
    expect(outcome).toMatchObject({
      status: 'failed',
      reason: 'platform_error',
      message: expect.stringContaining('removed from the cluster by someone else'),
    });
    expect(lines).toContain('tick 3');
  });

  it('for want of room, says which quota left none', async () => {
    await using other = await createBuilder();
    await other.namespace.apply({
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'none' },
      spec: { hard: { pods: '0' } },
    });
    await using pipeline = other.open();
    await pipeline.open(call());
    const job = await other.job({ files: { Dockerfile: 'FROM scratch\n' } });
    const { outcome } = await finished(await pipeline.start(job, call()));
    expect(outcome).toMatchObject({
      status: 'failed',
      reason: 'platform_error',
      message: expect.stringMatching(/quota.*none/),
    });
  });

  it('never falls back to exposing credentials that reach a whole account', async () => {
    const registry = {
      ...builder.registry,
      credentials: async () => ({
        username: 'AWS',
        password: 'opens-everything',
        expiresAt: null,
        reach: 'account' as const,
      }),
    };
    await using pipeline = builder.open({ registry });
    await pipeline.open(call());
    const job = await builder.job({ files: { Dockerfile: 'FROM scratch\n' } });
    const { outcome } = await finished(await pipeline.start(job, call()));
    expect(outcome).toMatchObject({
      status: 'failed',
      message: expect.stringContaining('registryProxy'),
    });
    expect(await builder.names('jobs,pods,secrets', job.buildId)).toEqual([]);
  });
});

describe('a run', () => {
  it.each([
    { beside: 'kaniko alone', reach: 'repository' },
    { beside: 'a proxy', reach: 'account' },
  ] as const)(
    'that is cancelled with $beside in its pod keeps its log, and the pod goes in time',
    async (given) => {
      const { reach } = given;
      const credentials = { username: 'a', password: 'unused-here', expiresAt: null, reach };
      const registry = { ...builder.registry, credentials: async () => credentials };
      const registryProxy = reach === 'account' ? { image: await registryProxyImage() } : null;
      await using pipeline = builder.open({ registry, registryProxy, gracePeriodSeconds: 5 });
      await pipeline.open(call());
      const job = await builder.job({ files: { Dockerfile: `FROM busybox:1\nRUN ${loop}\n` } });
      const run = await pipeline.start(job, call());
      await printed(run, 'tick 5');
      const { kubectl } = builder.namespace;
      const containers = '-ojsonpath={.items[*].spec.containers[*].name}';
      expect(
        (await kubectl('get', 'pods', `-lcygni.dev/build=${job.buildId}`, containers)).split(' '),
      ).toEqual(reach === 'account' ? ['registry-proxy', 'kaniko'] : ['kaniko']);
      await run.cancel(call());
      expect(await run.wait(call())).toMatchObject({ status: 'failed', reason: 'cancelled' });
      expect(await builder.names('jobs', job.buildId)).toEqual([]);
      await until(async () => (await builder.names('pods', job.buildId)).length === 0, 8_000);
      const lines = await Array.fromAsync(run.logs({ after: 0 }, call()), ({ text }) => text);
      expect(lines).toContain('tick 5');
      await run.cancel(call());
    },
  );

  it('goes on when its pipeline closes, and another adopts it with the same log', async () => {
    const first = builder.open();
    await first.open(call());
    const Dockerfile =
      'FROM busybox:1\nRUN for i in $(seq 60); do echo "tick $i"; sleep 0.1; done\n';
    const job = await builder.job({ files: { Dockerfile } });
    const begun = await first.start(job, call());
    await printed(begun, 'tick 10');
    const seen: number[] = [];
    const reading = (async () => {
      for await (const { position } of begun.logs({ after: 0 }, call())) seen.push(position);
    })();
    reading.catch(() => {});
    await first.close();
    await expect(begun.wait(call())).rejects.toMatchObject({ code: 'closed' });
    const [before] = await builder.names('pods', job.buildId);

    await using second = builder.open();
    await second.open(call());
    const run = await second.start(job, call());
    expect(await builder.names('pods', job.buildId)).toEqual([before]);
    const after = seen.at(-1) ?? 0;
    const [outcome, lines] = await Promise.all([
      run.wait(call()),
      Array.fromAsync(run.logs({ after }, call())),
    ]);
    expect(outcome).toMatchObject({ status: 'succeeded' });
    expect(lines.map(({ position }) => position)).toEqual(
      lines.map((_, index) => after + 1 + index),
    );
    const ticks = lines.map(({ text }) => text).filter((text) => text.startsWith('tick '));
    expect(ticks.at(-1)).toBe('tick 60');
  });

  it('is one, however often it is started', async () => {
    await using pipeline = builder.open();
    await pipeline.open(call());
    const job = await builder.job({ files: { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' } });
    const runs = await Promise.all([pipeline.start(job, call()), pipeline.start(job, call())]);
    expect(runs[0]).toBe(runs[1]);
    expect((await finished(runs[0])).outcome).toMatchObject({ status: 'succeeded' });
  });
});

describe('the Role', () => {
  it('is all that the builder may do', async () => {
    const { kubectl, name } = builder.namespace;
    const as = `--as=system:serviceaccount:${name}:cygni-builder`;
    const allowed = async (verb: string, resource: string, ...where: string[]) =>
      (await kubectl('auth', 'can-i', verb, resource, as, ...where).catch(() => 'no')).trim();
    const matrix = [
      ...['create', 'get', 'list', 'watch', 'delete'].map((verb) => [verb, 'jobs', 'yes']),
      ...['list', 'watch'].map((verb) => [verb, 'pods', 'yes']),
      ...['create', 'patch'].map((verb) => [verb, 'secrets', 'yes']),
      ['list', 'events', 'yes'],
      ...['get', 'list', 'watch', 'delete'].map((verb) => [verb, 'secrets', 'no']),
      ...['update', 'patch', 'deletecollection'].map((verb) => [verb, 'jobs', 'no']),
      ...['create', 'delete', 'update'].map((verb) => [verb, 'pods', 'no']),
      ['list', 'nodes', 'no'],
    ];
    const found = await Promise.all(
      matrix.map(async ([verb = '', resource = '']) => [
        verb,
        resource,
        await allowed(verb, resource),
      ]),
    );
    expect(found).toEqual(matrix);
    expect(await allowed('get', 'pods', '--subresource=log')).toBe('yes');
    expect(await allowed('create', 'pods', '--subresource=exec')).toBe('no');
    expect(await allowed('create', 'serviceaccounts', '--subresource=token')).toBe('no');
    expect(await allowed('list', 'jobs', '--namespace=default')).toBe('no');
  });
});
