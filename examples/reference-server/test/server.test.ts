import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { isTerminalBuildState } from '@cygni/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ApiClient, createApiClient } from '../../demo/src/api-client.ts';
import { packHelloSite } from '../../demo/src/pack-source.ts';
import { createServerProcess, type ServerProcess } from '../../demo/src/server-process.ts';
import { eventually } from './support/eventually.ts';

const run = promisify(execFile);
const serverMain = fileURLToPath(new URL('../src/main.ts', import.meta.url));
/** What a machine has that has nothing else on it. */
const bareMachine = { BUILD_ENGINE: 'assemble', DEPLOY_RUNTIME: 'namespaces', LOG_LEVEL: 'debug' };
const siteArguments = ['--servedir=/site', '--serve=0.0.0.0:$(PORT)', '--watch=forever'];

let directory: string;
let server: ReturnType<typeof createServerProcess>;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cygni-server-'));
  server = createServerProcess(directory, bareMachine);
});
afterEach(async () => {
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});

const patience = () => AbortSignal.timeout(60_000);

async function start(): Promise<ServerProcess & { readonly api: ApiClient }> {
  const started = await server.start(patience());
  return { ...started, api: createApiClient(started.url, started.token, patience()) };
}

async function waitForBuild(api: ApiClient, id: string) {
  for (;;) {
    const build = await api.getBuild(id);
    if (isTerminalBuildState(build.state)) return build;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function buildSite(api: ApiClient) {
  const source = await api.upload(await packHelloSite(directory));
  const { id } = await api.build({ sourceId: source.id, repository: 'hello-site' });
  const build = await waitForBuild(api, id);
  expect(build).toMatchObject({ state: 'SUCCEEDED' });
  return build;
}

async function deploySite(api: ApiClient, buildId: string): Promise<string> {
  const { id } = await api.deploy({
    service: 'hello',
    buildId,
    arguments: siteArguments,
    healthCheck: { intervalSeconds: 0.2 },
    rollout: { bakeSeconds: 0 },
  });
  const deployment = await api.waitForDeployment(id, () => {});
  expect(deployment).toMatchObject({ state: 'SUCCEEDED' });
  const { url } = await api.getService('hello');
  if (url === null) throw new Error('the service has no address');
  return url;
}

describe('the reference server', () => {
  it('refuses a bad variable by name, without its value, and exits 1 before it listens', async () => {
    const environment = { ...process.env, CYGNI_DATA_DIR: directory, PORT: 'hunter2' };
    const child = spawn(process.execPath, ['--conditions=cygni-source', serverMain], {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => output.push(chunk.toString()));
    }
    const [code]: unknown[] = await once(child, 'exit');
    expect(code).toBe(1);
    expect(output.join('')).toContain('PORT');
    expect(output.join('')).not.toContain('hunter2');
  });

  it('writes a token that only its owner can read, and says which adapter serves each contract', async () => {
    const { logFile } = await start();
    expect((await stat(join(directory, 'data', 'token'))).mode & 0o777).toBe(0o600);
    // The log reaches its file through another process.
    for (const line of [
      'store: postgres (embedded)',
      'pipeline: local (assemble)',
      'queue: memory',
    ]) {
      await eventually(
        async () => (await readFile(logFile, 'utf8')).includes(line) || undefined,
        patience(),
      );
    }
  });

  it('finds builds, images and services again after a restart, and runs the service', async () => {
    const first = await start();
    const build = await buildSite(first.api);
    const url = await deploySite(first.api, build.id);
    expect(await (await fetch(url)).text()).toContain('version 1');
    expect(await server.stop()).toBe(0);
    await expect(fetch(url)).rejects.toThrow();

    const second = await start();
    expect(await second.api.getBuild(build.id)).toMatchObject({
      state: 'SUCCEEDED',
      image: { digest: build.image?.digest },
    });
    const text = await eventually(async () => {
      const response = await fetch(url).catch(() => undefined);
      return response?.ok ? response.text() : undefined;
    }, patience());
    expect(text).toContain('version 1');
    // The image too: it is pulled for another service.
    expect(await deploySite(second.api, build.id)).toBe(url);
  });

  it('ends a build once that was cut short by SIGKILL', async () => {
    const first = await start();
    const source = await first.api.upload(await packHelloSite(directory));
    const { id } = await first.api.build({ sourceId: source.id, repository: 'hello-site' });
    await eventually(async () => {
      const { state } = await first.api.getBuild(id);
      expect(isTerminalBuildState(state), 'the build must not be over yet').toBe(false);
      return state === 'RUNNING' || undefined;
    }, patience());
    await server.stop('SIGKILL');

    const second = await start();
    const build = await waitForBuild(second.api, id);
    expect(build).toMatchObject({ state: 'SUCCEEDED', attempt: 2 });
    const { spent, reserved } = await second.api.getBudget();
    expect({ spent, reserved }).toEqual({ spent: build.cost, reserved: 0 });
  });

  it('exits 0 on SIGTERM with a log stream, an idle connection and a half-sent request open', async () => {
    const { url, token, api } = await start();
    const source = await api.upload(await packHelloSite(directory));
    const { id } = await api.build({ sourceId: source.id, repository: 'hello-site' });
    const stream = await fetch(`${url}/v1/builds/${id}/logs`, {
      headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream' },
    });
    const port = Number(new URL(url).port);
    const idle = connect(port, '127.0.0.1');
    const half = connect(port, '127.0.0.1');
    half.on('error', () => {});
    half.write('POST /v1/builds HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"half":');
    await Promise.all([once(idle, 'connect'), once(half, 'connect')]);

    const [code] = await Promise.all([server.stop(), stream.text()]);
    expect(code).toBe(0);
    expect(await readFile(join(directory, 'server.log'), 'utf8')).not.toContain('took too long');
    idle.destroy();
    half.destroy();
  });

  it('lets skopeo pull what it built, with the token and not without', async (test) => {
    const found = await run('skopeo', ['--version']).catch(() => undefined);
    if (!found) {
      if (process.env.CI) throw new Error('skopeo is missing');
      console.warn(
        'SKIPPED: skopeo is missing, so no real client pulls from the embedded registry',
      );
      test.skip();
    }
    const { api, token } = await start();
    const build = await buildSite(api);
    const reference = `docker://${build.image?.reference}`;
    const layout = join(directory, 'layout');
    const copy = ['copy', '--src-tls-verify=false', reference, `oci:${layout}`];
    const env = { ...process.env, REGISTRY_AUTH_FILE: join(directory, 'no-credentials.json') };
    await expect(run('skopeo', copy, { env })).rejects.toThrow(
      /unauthorized|authentication required/,
    );
    await run('skopeo', [...copy, '--src-creds', `me:${token}`], { env });
    const { stdout } = await run('skopeo', ['inspect', '--config', `oci:${layout}`]);
    expect(JSON.parse(stdout)).toMatchObject({
      config: { User: '65532:65532', Entrypoint: ['/esbuild'], ExposedPorts: { '8000/tcp': {} } },
    });
    const { stdout: manifest } = await run('skopeo', ['inspect', `oci:${layout}`]);
    expect(JSON.parse(manifest)).toMatchObject({ Digest: build.image?.digest });
  });
});
