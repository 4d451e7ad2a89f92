import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { healthCheckSchema, isCygniError } from '@cygni/core';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from './fixtures/eventually.ts';
import {
  call,
  type Harness,
  hasExited,
  isHealthy,
  key,
  startHarness,
  text,
} from './fixtures/harness.ts';
import { isRunning, namespaceOf, processesWith } from './fixtures/processes.ts';
import { available, compileBehave, runs } from './fixtures/tool.ts';

const behave = compileBehave();
const ready =
  available('gcc with a static C library', behave !== null) &&
  available(
    'unshare with user namespaces',
    runs('unshare', [
      '--user',
      '--map-root-user',
      '--mount',
      '--pid',
      '--fork',
      '--mount-proc',
      'true',
    ]),
  );

describe.skipIf(!ready)('the local deployer with namespaces', () => {
  let harness: Harness;
  beforeEach(async () => {
    harness = await startHarness(behave?.path ?? '');
  });
  afterEach(() => harness.end());
  afterAll(() => behave?.remove());

  async function deploy(
    revision: number,
    rest: Parameters<Harness['revision']>[2] = {},
    image: Parameters<Harness['addBehave']>[0] = {},
  ): Promise<string> {
    const digest = await harness.addBehave(image);
    await harness.deployer.apply(harness.revision(revision, digest, rest), call());
    return digest;
  }
  const route = (...traffic: { revision: number; percent: number }[]) =>
    harness.deployer.route(key, traffic, call());

  it('says which runtime it has', () => {
    expect(harness.deployer.name).toBe('local (namespaces)');
  });

  it('runs an image without a shell or a C library, on a port of its own, and publishes it', async () => {
    const digest = await deploy(1, {
      environment: { VERSION: 'one' },
      arguments: ['--answers-on=$(PORT)', '--kept=$$(PORT)', '--unknown=$(NOBODY)'],
    });
    const instance = await harness.until(1, isHealthy);
    expect(instance).toMatchObject({ state: 'running', reason: null, digest });
    await route({ revision: 1, percent: 100 });
    expect(await text(await harness.url())).toBe('hello from one');

    const port = (await text(await harness.url('/environment'))).match(/^PORT=(\d+)$/m)?.[1];
    const lines = await harness.deployer.tailLogs({ ...key, revision: 1 }, 10, call());
    expect(lines).toEqual([
      `argument --answers-on=${port}`,
      'argument --kept=$(PORT)',
      'argument --unknown=$(NOBODY)',
      `listening on ${port}`,
    ]);
    expect(await harness.deployer.tailLogs({ ...key, revision: 1 }, 1, call())).toEqual([
      `listening on ${port}`,
    ]);
  });

  it('runs the static server that npm brings, from an image made of nothing else', async () => {
    const esbuild = fileURLToPath(
      import.meta.resolve(`@esbuild/linux-${process.arch}/bin/esbuild`),
    );
    const digest = await harness.images.add({
      layers: [
        [{ name: 'esbuild', mode: 0o755, content: await readFile(esbuild) }],
        [{ name: 'site/index.html', content: '<h1>hello</h1>' }],
      ],
      config: {
        Entrypoint: ['/esbuild'],
        // Nothing is ever at its standard input, which would end it without the last option.
        Cmd: ['--servedir=/site', '--serve=127.0.0.1:$(PORT)', '--watch=forever'],
      },
    });
    const healthCheck = healthCheckSchema.parse({ intervalSeconds: 0.1 });
    await harness.deployer.apply(harness.revision(1, digest, { healthCheck }), call());
    await harness.until(1, isHealthy);
    await route({ revision: 1, percent: 100 });
    expect(await text(await harness.url())).toContain('<h1>hello</h1>');
  });

  it("has the image's user, working directory and environment, the revision's over the image's", async () => {
    const passwd = 'root:x:0:0::/:/none\napp:x:1234:56::/:/none\n';
    await deploy(
      1,
      { environment: { BOTH: 'revision', LINES: 'a\nb', LD_PRELOAD: '/none.so' } },
      {
        layers: [[{ name: 'etc/passwd', content: passwd }]],
        config: { User: 'app', WorkingDir: '/srv/data', Env: ['BOTH=image', 'ONLY=image'] },
      },
    );
    await harness.until(1, isHealthy);
    await route({ revision: 1, percent: 100 });
    expect(await text(await harness.url('/identity'))).toMatch(
      /^uid=1234 gid=56 pid=\d+ cwd=\/srv\/data$/,
    );
    const environment = await text(await harness.url('/environment'));
    expect(environment.trim().split('\n').sort()).toEqual(
      expect.arrayContaining([
        'BOTH=revision',
        'ONLY=image',
        'LINES=a',
        'b',
        'LD_PRELOAD=/none.so',
      ]),
    );
    expect(environment).not.toMatch(/^(HOME|PWD|NODE_|VITEST)/m);
  });

  it('has no capability, no way to new ones, and sees only its own processes and files', async () => {
    await deploy(1);
    await harness.until(1, isHealthy);
    await route({ revision: 1, percent: 100 });
    const status = await text(await harness.url('/read/proc/self/status'));
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
      expect(status).toMatch(new RegExp(`^${set}:\\s0+$`, 'm'));
    }
    expect(status).toMatch(/^NoNewPrivs:\s1$/m);
    expect(status).toMatch(/^PPid:\s1$/m);
    expect(await text(await harness.url('/read/proc/sys/user/max_user_namespaces'))).toMatch(
      /^0$/m,
    );
    expect(await text(await harness.url('/read/proc/1/root/etc/shadow'))).toMatch(/denied/);
    const mounts = await text(await harness.url('/read/proc/mounts'));
    const places = mounts
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[1]);
    expect(
      places.filter((each) => !/^\/(|proc|proc\/sys|tmp|dev|dev\/\w+)$/.test(each ?? '')),
    ).toEqual([]);
    expect(mounts).not.toContain(harness.directory);
  });

  it('may write in its root, without another instance of the image seeing it', async () => {
    const digest = await deploy(1);
    await harness.until(1, isHealthy);
    await route({ revision: 1, percent: 100 });
    expect(await text(await harness.url('/write/note'))).toBe('written');
    expect(await text(await harness.url('/write/tmp/note'))).toBe('written');
    expect(await text(await harness.url('/read/note'))).toBe('written');
    await harness.deployer.apply(harness.revision(2, digest), call());
    await harness.until(2, isHealthy);
    await route({ revision: 2, percent: 100 });
    expect(await text(await harness.url('/read/note'))).toMatch(/No such file/);
  });

  it('shows secrets neither in argument lists nor in the environment of its tools', async () => {
    const secret = `secret-${Math.random()}`;
    await deploy(1, { environment: { TOKEN: secret } });
    await harness.until(1, isHealthy);
    expect(processesWith(secret)).toEqual([]);
    expect(processesWith(secret, 'environ')).toHaveLength(1);
    expect(await readFile(join(harness.directory, 'state.json'), 'utf8')).not.toContain(secret);
  });

  it('counts failed health checks only after the start period, then needs the threshold', async () => {
    const healthCheck = healthCheckSchema.parse({
      path: '/health',
      intervalSeconds: 0.1,
      unhealthyThreshold: 3,
      startPeriodSeconds: 0.5,
    });
    await deploy(1, { healthCheck, environment: { HEALTH: '500 Broken' } });
    const instance = await harness.until(1, ({ health }) => health === 'unhealthy');
    expect(instance.state).toBe('running');
    expect(instance.probes.length).toBeGreaterThan(3);
    expect(instance.probes.at(-1)).toMatchObject({ ok: false, status: 500, error: 'answered 500' });
  });

  it('reports the exit code and keeps the log until the revision is removed', async () => {
    await deploy(1, { arguments: ['--exit=7'] });
    const instance = await harness.until(1, hasExited);
    expect(instance.reason).toBe('exit code 7');
    expect(await harness.deployer.tailLogs({ ...key, revision: 1 }, 50, call())).toEqual([
      'first line',
      'second line',
    ]);
    await harness.deployer.remove({ ...key, revision: 1 }, call());
    await expect(
      harness.deployer.tailLogs({ ...key, revision: 1 }, 50, call()),
    ).rejects.toMatchObject({ code: 'not_found' });
    expect(await readdir(join(harness.directory, 'instances'))).toEqual([]);
    expect(await readdir(join(harness.directory, 'roots'))).toEqual([]);
    expect(await readdir(join(harness.directory, 'images'))).toEqual([]);
  });

  it('reports the signal that ended an instance, and starts it again only when it is applied again', async () => {
    const digest = await deploy(1, { environment: { VERSION: 'one' } });
    const first = await harness.until(1, isHealthy);
    await route({ revision: 1, percent: 100 });
    await fetch(await harness.url('/abort')).catch(() => {});
    expect((await harness.until(1, hasExited)).reason).toBe('signal SIGKILL');
    expect((await fetch(await harness.url())).status).toBe(502);

    const again = harness.revision(1, digest, { environment: { VERSION: 'one' } });
    await harness.deployer.apply(again, call());
    const second = await harness.until(1, isHealthy);
    expect(second.id).not.toBe(first.id);
    expect(await text(await harness.url())).toBe('hello from one');
    await harness.deployer.apply(again, call());
    expect((await harness.instance(1))?.id).toBe(second.id);
  });

  it('says what is wrong with an image that cannot run', async () => {
    await deploy(1, {}, { config: { Entrypoint: ['/nothing-here'] } });
    expect((await harness.until(1, hasExited)).reason).toBe('exit code 127');
    expect((await harness.deployer.tailLogs({ ...key, revision: 1 }, 5, call()))[0]).toMatch(
      /^\/nothing-here: not found/,
    );
    await deploy(2, {}, { config: { User: 'nobody-knows' } });
    expect((await harness.until(2, hasExited)).reason).toMatch(/no user "nobody-knows"/);
    await deploy(3, {}, { corrupt: (blob) => Buffer.concat([blob, Buffer.from('x')]) });
    expect((await harness.until(3, hasExited)).reason).toMatch(/layer/);
    const missing = harness.revision(4, `sha256:${'0'.repeat(64)}`);
    await expect(harness.deployer.apply(missing, call())).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('switches the traffic at once while requests in flight finish where they began', async () => {
    await deploy(1, { environment: { VERSION: 'one' } });
    await deploy(2, { environment: { VERSION: 'two' } });
    await harness.until(1, isHealthy);
    await harness.until(2, isHealthy);
    await route({ revision: 1, percent: 100 });
    const slow = await fetch(await harness.url('/slow'));
    await route({ revision: 2, percent: 100 });
    const answers = await Promise.all(
      Array.from({ length: 20 }, async () => text(await harness.url())),
    );
    expect(new Set(answers)).toEqual(new Set(['hello from two']));
    // Removing waits for what is in flight.
    await harness.deployer.remove({ ...key, revision: 1 }, call());
    expect(await slow.text()).toBe('begin one');
    expect(await harness.instance(1)).toBeUndefined();
  });

  it('splits by weight', async () => {
    await deploy(1, { environment: { VERSION: 'one' } });
    await deploy(2, { environment: { VERSION: 'two' } });
    await harness.until(1, isHealthy);
    await harness.until(2, isHealthy);
    await route({ revision: 1, percent: 50 }, { revision: 2, percent: 50 });
    const url = await harness.url();
    const answers = [];
    for (let count = 0; count < 100; count++) answers.push(await text(url));
    expect(answers.filter((each) => each === 'hello from one').length).toBeGreaterThan(20);
    expect(answers.filter((each) => each === 'hello from two').length).toBeGreaterThan(20);
    await expect(route({ revision: 1, percent: 50 })).rejects.toMatchObject({
      code: 'invalid_input',
    });
    await expect(route({ revision: 9, percent: 100 })).rejects.toMatchObject({ code: 'not_found' });
  });

  it('leaves no process when it closes, also of those that ignore SIGTERM or ran away', async () => {
    await deploy(1, { arguments: ['--grandchild', '--ignore-term', harness.directory] });
    await harness.until(1, isHealthy);
    const [found] = processesWith(harness.directory).filter((pid) => namespaceOf(pid).length > 1);
    const all = namespaceOf(found ?? 0);
    expect(all.length).toBeGreaterThanOrEqual(3);
    const start = performance.now();
    await harness.deployer.close();
    expect(performance.now() - start).toBeLessThan(4_000);
    expect(all.filter(isRunning)).toEqual([]);
    await harness.deployer.close();
    const observing = harness.deployer.observe(key, call());
    await expect(observing).rejects.toSatisfy((error) => isCygniError(error, 'closed'));
  });

  it('ends an instance whose outer process is killed', async () => {
    await deploy(1);
    await harness.until(1, isHealthy);
    const state = JSON.parse(await readFile(join(harness.directory, 'state.json'), 'utf8'));
    const init: number = state.revisions[0].process.pid;
    const outer = Number(
      (await readFile(`/proc/${init}/status`, 'latin1')).match(/^PPid:\s(\d+)$/m)?.[1],
    );
    process.kill(outer, 'SIGKILL');
    expect((await harness.until(1, hasExited)).reason).toBe('signal SIGKILL');
    await eventually('the namespace is gone', () => !isRunning(init));
  });

  it('finds its port and its unpacked image again after a restart', async () => {
    const digest = await deploy(1, { environment: { VERSION: 'one' } });
    await harness.until(1, isHealthy);
    await route({ revision: 1, percent: 100 });
    const url = await harness.url();
    await harness.reopen();
    expect((await harness.deployer.observe(key, call())).instances).toEqual([]);
    expect((await fetch(url)).status).toBe(503);

    harness.images.requests = 0;
    await harness.deployer.apply(
      harness.revision(1, digest, { environment: { VERSION: 'one' } }),
      call(),
    );
    await harness.until(1, isHealthy);
    await route({ revision: 1, percent: 100 });
    expect(await harness.url()).toBe(url);
    expect(await text(url)).toBe('hello from one');
    expect(harness.images.requests).toBe(0);
  });

  it('refuses a directory that another deployer uses', async () => {
    const { createLocalDeployer } = await import('../src/index.ts');
    const second = createLocalDeployer({ images: harness.images, directory: harness.directory });
    await expect(second.open(call())).rejects.toMatchObject({ code: 'conflict' });
    await second.close();
  });

  it('can be closed and can remove while an image is still being pulled', async () => {
    const digest = await harness.addBehave();
    let pulling = false;
    await harness.deployer.apply(harness.revision(1, digest), call()).then(async () => {
      await harness.until(1, isHealthy);
    });
    const other = await harness.addBehave({ layers: [[{ name: 'x', content: 'x' }]] });
    harness.images.before = async ({ signal }) => {
      pulling = true;
      // Only the blobs of the layers are asked for once the manifest and config are there.
      if (harness.images.requests > 2) await sleep(60_000, undefined, { signal });
    };
    harness.images.requests = 0;
    await harness.deployer.apply(harness.revision(2, other), call());
    expect(pulling).toBe(true);
    expect(await harness.instance(2)).toMatchObject({ state: 'pending', digest: null });
    const start = performance.now();
    await harness.deployer.remove({ ...key, revision: 2 }, call());
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(await harness.instance(2)).toBeUndefined();
  });

  it('rejects a call that is aborted', async () => {
    const aborted = { ...call(), signal: AbortSignal.abort() };
    await expect(harness.deployer.observe(key, aborted)).rejects.toMatchObject({ code: 'aborted' });
  });
});
