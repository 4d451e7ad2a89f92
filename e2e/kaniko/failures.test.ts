import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { createRegistryServer } from '@cygni/registry-oci';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { FinishedBuild } from '../support/api.ts';
import { createGate } from '../support/gate.ts';
import { type RunningServer, type Scene, setScene } from '../support/scene.ts';

const services = inject('services');
const { registry, nodeIp } = services.cluster;

describe('a kaniko build that fails', () => {
  let scene: Scene;
  let server: RunningServer;
  beforeAll(async () => {
    scene = await setScene(services);
    server = await scene.startServer({ REGISTRY_URL: `http://${registry}` });
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  async function fail(
    Dockerfile: string,
    request: object = {},
    builder = server,
  ): Promise<{ build: FinishedBuild; log: string }> {
    const repository = scene.namespace.name;
    const { id } = await builder.api.build({ Dockerfile }, { repository, ...request });
    const build = await builder.api.finish(id);
    expect(build.image).toBeNull();
    return { build, log: await builder.api.readLog(id) };
  }

  it('tells the code of a RUN step that exits with 7, the instruction, and what it printed', async () => {
    const { build, log } = await fail(
      'FROM busybox:1\nRUN echo all is well\nRUN echo oh dear; exit 7\n',
    );
    expect(build).toMatchObject({ state: 'FAILED', attempt: 1 });
    expect(build.failure).toMatchObject({ reason: 'user_error', platformFault: false });
    expect(build.failure?.message).toMatch(/^RUN echo oh dear; exit 7 .*\bcode 7\b/);
    expect(log).toMatch(/^oh dear$/m);
  });

  it('tells the line of a Dockerfile that cannot be parsed', async () => {
    const { build } = await fail('FROM busybox:1\n\nFETCH everything\n');
    expect(build.failure?.reason).toBe('user_error');
    expect(build.failure?.message).toMatch(/line 3\b/);
  });

  it('is called out of memory when a RUN step allocates past the limit', async () => {
    const { build } = await fail(
      `FROM node:24\nRUN node -e "for (const kept = []; ; ) kept.push(Buffer.alloc(1 << 24, 1))"\n`,
    );
    expect(build.failure?.reason).toBe('oom');
    expect(build.failure?.message).toContain('512');
  });

  it('names a base image that does not exist', async () => {
    const image = `${registry}/library/no-such-image:1`;
    const { build } = await fail(`FROM ${image}\nRUN true\n`);
    expect(build.failure?.reason).toBe('image_pull');
    expect(build.failure?.message).toContain(image);
  });

  it('tells that the registry denies the push', async () => {
    await using denying = await startDenyingRegistry();
    // Of its own, or the other server could take the build.
    await using apart = await setScene(services);
    await using other = await apart.startServer({ REGISTRY_URL: `http://${denying.host}` });
    const { build } = await fail('FROM scratch\nCOPY Dockerfile /\n', {}, other);
    expect(build.failure).toMatchObject({ reason: 'registry_auth', platformFault: true });
  });

  it('names a kaniko image that cannot be pulled', async () => {
    const KANIKO_IMAGE = `${registry}/no-such/kaniko:1`;
    await using apart = await setScene(services);
    await using other = await apart.startServer({
      REGISTRY_URL: `http://${registry}`,
      KANIKO_IMAGE,
    });
    const { build } = await fail('FROM scratch\nCOPY Dockerfile /\n', {}, other);
    expect(build.failure).toMatchObject({ reason: 'platform_error', platformFault: true });
    expect(build.failure?.message).toContain(KANIKO_IMAGE);
  });

  it('keeps its log and its reason when it runs into its timeout', async () => {
    const { build, log } = await fail('FROM busybox:1\nRUN echo so far; sleep 600\n', {
      timeoutSeconds: 10,
    });
    expect(build).toMatchObject({ state: 'TIMED_OUT', failure: { reason: 'deadline' } });
    expect(log).toMatch(/^so far$/m);
    await expect.poll(() => scene.namespace.pods(), { timeout: 20_000 }).toEqual([]);
  });

  it('keeps its log and its reason when it is cancelled, and its pod goes', async () => {
    const repository = scene.namespace.name;
    const Dockerfile = 'FROM busybox:1\nRUN echo line $((20 + 1)); sleep 600\n';
    const { id } = await server.api.build({ Dockerfile }, { repository });
    await server.api.waitForLine(id, 'line 21');
    await server.api.cancel(id);
    const build = await server.api.finish(id);
    expect(build).toMatchObject({
      state: 'CANCELLED',
      attempt: 1,
      image: null,
      failure: { reason: 'cancelled', platformFault: false },
    });
    expect(await server.api.readLog(id)).toMatch(/^line 21$/m);
    await expect.poll(() => scene.namespace.jobs(), { timeout: 20_000 }).toEqual([]);
    await expect.poll(() => scene.namespace.pods(), { timeout: 20_000 }).toEqual([]);
  });

  it.each([
    {
      what: 'its Job is deleted',
      interfere: async ({ namespace }: Scene) => {
        const job = (await namespace.jobs()).find(isStaying);
        await namespace.deleteJob(job?.metadata?.name ?? '');
      },
    },
    {
      what: 'its pod is evicted',
      interfere: async ({ namespace }: Scene) => {
        const pod = (await namespace.pods()).find(isStaying);
        await namespace.evict(pod?.metadata?.name ?? '');
      },
    },
  ])('because $what is free of charge, and is tried again', async ({ interfere }) => {
    await using gate = await createGate(nodeIp);
    const Dockerfile = `FROM busybox:1\nRUN wget -qO- ${gate.url}\n`;
    const repository = scene.namespace.name;
    const { id } = await server.api.build({ Dockerfile }, { repository });
    await gate.arrived(1);
    await interfere(scene);
    await gate.arrived(2);
    gate.open();
    const build = await server.api.finish(id);
    expect(build).toMatchObject({ state: 'SUCCEEDED', attempt: 2, failure: null });
    expect(gate.arrivals).toBe(2);
  });

  async function startDenyingRegistry() {
    await using cleanUp = new AsyncDisposableStack();
    const images = createRegistryServer({
      directory: join(scene.directory, 'denying-registry'),
      authorize: async ({ action }) => (action === 'pull' ? 'allow' : 'forbidden'),
    });
    await images.open();
    cleanUp.defer(() => images.close());
    const listener = createServer((request, response) => images.handle(request, response));
    listener.listen(0, nodeIp);
    await once(listener, 'listening');
    cleanUp.defer(async () => {
      listener.close();
      listener.closeAllConnections();
    });
    const address = listener.address();
    if (typeof address !== 'object' || address === null) throw new Error('not a TCP address');
    const owned = cleanUp.move();
    return {
      host: `${nodeIp}:${address.port}`,
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    };
  }
});

/** Not what an earlier test left, which is still on its way out. */
function isStaying({ metadata }: { readonly metadata?: { readonly deletionTimestamp?: Date } }) {
  return metadata?.deletionTimestamp === undefined;
}
