import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type Deployer, hostPlatform, type RepositoryLocation, readImage } from '@cygni/core';
import { createImageClient, createRegistryServer } from '@cygni/registry-oci';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createLocalDeployer } from '../src/index.ts';
import { eventually } from './fixtures/eventually.ts';
import { call, key, quick, text } from './fixtures/harness.ts';
import { createMemoryImages } from './fixtures/memory-images.ts';
import { processesWith } from './fixtures/processes.ts';
import { available, compileBehave, runs } from './fixtures/tool.ts';

const behave = compileBehave();
const ready =
  available('gcc with a static C library', behave !== null) &&
  available('podman', runs('podman', ['info']));

const password = 'open sesame';
const before = { path: process.env.PATH, configuration: process.env.CONTAINERS_CONF };
let folder: string;
let registry: { location: RepositoryLocation; close(): Promise<void> };
const client = createImageClient();

beforeAll(async () => {
  if (!ready) return;
  folder = await mkdtemp(join(tmpdir(), 'cygni-containers-'));
  registry = await startRegistry();
  // Machines that are containers or small VMs themselves allow neither the engine's usual limits
  // nor, with both kinds of cgroups mounted, its usual runtime.
  const configuration = join(folder, 'containers.conf');
  const runtime = runs('runc', ['--version']) ? 'runtime = "runc"\n' : '';
  await writeFile(
    configuration,
    `[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]\n[engine]\ncgroup_manager = "cgroupfs"\n${runtime}`,
  );
  process.env.CONTAINERS_CONF = configuration;
  // Says what docker says where the two differ, and hands the rest to podman.
  const shim = join(folder, 'docker');
  await writeFile(
    shim,
    `#!/bin/sh
if [ "$1" = --config ]; then REGISTRY_AUTH_FILE="$2/config.json"; export REGISTRY_AUTH_FILE; shift 2; fi
case "$1" in
  info) exec podman info --format '{{.Version.Version}}' ;;
  context) exit 1 ;;
  pull) shift; exec podman pull --tls-verify=false "$@" ;;
  create) for each; do shift; case "$each" in --log-opt=max-file=*) ;; *) set -- "$@" "$each" ;; esac; done; exec podman "$@" ;;
  *) exec podman "$@" ;;
esac
`,
  );
  await chmod(shim, 0o755);
});

afterAll(async () => {
  await client.close();
  behave?.remove();
  if (!ready) return;
  if (before.configuration === undefined) delete process.env.CONTAINERS_CONF;
  else process.env.CONTAINERS_CONF = before.configuration;
  // Closing a deployer keeps images for its next start, which does not come here.
  const images = podman('images', '--format', '{{.Repository}} {{.ID}}').split('\n');
  const ours = images.filter((line) => line.startsWith(`${registry.location.host}/`));
  const ids = new Set(ours.map((line) => line.split(' ')[1] ?? ''));
  if (ids.size > 0) podman('image', 'rm', '--force', ...ids);
  await registry.close();
  await rm(folder, { recursive: true, force: true });
});

async function startRegistry() {
  const expected = `Basic ${Buffer.from(`robot:${password}`).toString('base64')}`;
  const server = createRegistryServer({
    directory: join(folder, 'registry'),
    authorize: async ({ authorization }) =>
      authorization === expected ? 'allow' : 'unauthenticated',
  });
  const http = createServer((request, response) => server.handle(request, response));
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const credentials = { username: 'robot', password, expiresAt: null, reach: 'account' } as const;
  const location: RepositoryLocation = {
    host: `127.0.0.1:${(http.address() as AddressInfo).port}`,
    repository: 'acme/web',
    insecure: true,
    credentials,
  };
  const close = async () => {
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
    await server.close();
  };
  return { location, close };
}

async function pushBehave(config: Record<string, unknown> = {}): Promise<string> {
  const images = createMemoryImages();
  const content = await readFile(behave?.path ?? '');
  const digest = await images.add({
    layers: [[{ name: 'behave', mode: 0o755, content }]],
    config: { Entrypoint: ['/behave'], ...config },
  });
  const { manifest } = await readImage(images, images.location, digest, hostPlatform(), call());
  for (const { digest: blob, size } of [manifest.config, ...manifest.layers]) {
    const bytes: Uint8Array[] = [];
    for await (const chunk of await images.getBlob(images.location, blob, call()))
      bytes.push(chunk);
    const upload = {
      digest: blob,
      sizeBytes: size,
      open: async function* () {
        yield* bytes;
      },
    };
    await client.putBlob(registry.location, upload, call());
  }
  const stored = await images.getManifest(images.location, digest, call());
  return client.putManifest(registry.location, digest, stored, call());
}

const podman = (...parameters: string[]) =>
  spawnSync('podman', parameters, { encoding: 'utf8', timeout: 30_000 }).stdout.trim();

describe.skipIf(!ready).each([
  { runtime: 'podman', title: 'podman' },
  { runtime: 'docker', title: 'docker (on podman behind a docker command line)' },
] as const)('the local deployer with $title', ({ runtime }) => {
  let directory: string;
  let deployer: Deployer;
  beforeAll(() => {
    if (runtime === 'docker') process.env.PATH = `${folder}${delimiter}${before.path}`;
  });
  afterAll(() => {
    process.env.PATH = before.path;
  });
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cygni-container-'));
    deployer = createLocalDeployer({ runtime, images: client, directory });
    await deployer.open(call());
  });
  afterEach(async () => {
    await deployer.close();
    const owner = createHash('sha256').update(directory).digest('hex').slice(0, 32);
    expect(podman('ps', '--all', '--filter', `label=dev.cygni.directory=${owner}`, '-q')).toBe('');
    await rm(directory, { recursive: true, force: true });
  });

  async function apply(revision: number, digest: string, rest: object = {}): Promise<void> {
    await deployer.apply(
      {
        ...key,
        revision,
        image: registry.location,
        digest,
        environment: {},
        arguments: null,
        healthCheck: quick,
        ...rest,
      },
      call(),
    );
  }
  const settled = (revision: number) =>
    eventually(
      'healthy or exited',
      async () => {
        const { instances } = await deployer.observe(key, call());
        const found = instances.find((each) => each.revision === revision);
        return found && (found.health === 'healthy' || found.state === 'exited') && found;
      },
      25_000,
    );

  it('pulls with credentials, runs, publishes, and deletes container and image at the end', async () => {
    const secret = `secret-${Math.random()}`;
    const digest = await pushBehave({ User: '1000:100', Env: ['FROM_IMAGE=1'] });
    const environment = { VERSION: 'one', TOKEN: secret, LINES: 'a\nb' };
    await apply(1, digest, { environment, arguments: ['--at=$(PORT)'] });
    expect(await settled(1)).toMatchObject({ reason: null, health: 'healthy', digest });
    await deployer.route(key, [{ revision: 1, percent: 100 }], call());
    const { url } = await deployer.observe(key, call());
    expect(await text(`${url}/`)).toBe('hello from one');
    expect(await text(`${url}/identity`)).toMatch(/^uid=1000 gid=100 /);
    const seen = await text(`${url}/environment`);
    const port = seen.match(/^PORT=(\d+)$/m)?.[1];
    expect(seen).toContain(`TOKEN=${secret}\n`);
    expect(seen).toContain('LINES=a\nb\n');
    expect(seen).toContain('FROM_IMAGE=1\n');
    expect(await text(`${url}/read/proc/self/status`)).toMatch(/^CapBnd:\s0+$/m);
    expect(await deployer.tailLogs({ ...key, revision: 1 }, 10, call())).toEqual([
      `argument --at=${port}`,
      `listening on ${port}`,
    ]);
    expect(processesWith(secret)).toEqual([]);
    expect(await readFile(join(directory, 'state.json'), 'utf8')).not.toContain(secret);
    expect((await readdir(directory)).filter((name) => name.startsWith('auth-'))).toEqual([]);

    await deployer.remove({ ...key, revision: 1 }, call());
    const reference = `${registry.location.host}/${registry.location.repository}@${digest}`;
    expect(spawnSync('podman', ['image', 'exists', reference]).status).toBe(1);
  });

  it('reports how a container ended, and keeps its log', async () => {
    const digest = await pushBehave();
    await apply(1, digest, { arguments: ['--exit=7'] });
    expect(await settled(1)).toMatchObject({ state: 'exited', reason: 'exit code 7' });
    expect(await deployer.tailLogs({ ...key, revision: 1 }, 1, call())).toEqual(['second line']);
    await apply(2, await pushBehave({ Entrypoint: ['/nothing'] }));
    expect((await settled(2)).reason).toMatch(/nothing|not found|no such file/i);
  });

  it('finds a container again that another deployer left, and goes on with it', async () => {
    const digest = await pushBehave();
    await apply(1, digest);
    const { id } = await settled(1);
    await deployer.route(key, [{ revision: 1, percent: 100 }], call());
    const { url } = await deployer.observe(key, call());
    const state = await readFile(join(directory, 'state.json'), 'utf8');
    const other = await mkdtemp(join(tmpdir(), 'cygni-container-'));
    try {
      // What a crash leaves: the container, and the state as it was.
      await writeFile(
        join(other, 'state.json'),
        state.replace(/"port":2[0-4]\d{3}/, '"port":19999'),
      );
      const successor = createLocalDeployer({ runtime, images: client, directory: other });
      await successor.open(call());
      const found = await successor.observe(key, call());
      expect(found.instances).toMatchObject([{ id, state: 'running', digest }]);
      expect(await text(`${found.url}/`)).toBe('hello from ?');
      await successor.close();
      expect((await settledAsExited()).state).toBe('exited');
      expect((await fetch(`${url}/`)).status).toBe(502);
    } finally {
      await rm(other, { recursive: true, force: true });
    }

    function settledAsExited() {
      return eventually('exited', async () => {
        const [found] = (await deployer.observe(key, call())).instances;
        return found?.state === 'exited' && found;
      });
    }
  });
});

describe('the choice of a runtime', () => {
  it('takes no client without its daemon for a runtime', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'cygni-choice-'));
    const host = process.env.DOCKER_HOST;
    process.env.DOCKER_HOST = `unix://${directory}/nobody.sock`;
    try {
      const images = createMemoryImages();
      const docker = createLocalDeployer({ runtime: 'docker', images, directory });
      await expect(docker.open(call())).rejects.toMatchObject({ code: 'unsupported' });
      await docker.close();
      const any = createLocalDeployer({ images, directory });
      await any.open(call());
      expect(any.name).toMatch(/^local \((podman|namespaces)\)$/);
      await any.close();
    } finally {
      if (host === undefined) delete process.env.DOCKER_HOST;
      else process.env.DOCKER_HOST = host;
      await rm(directory, { recursive: true, force: true });
    }
  });
});
