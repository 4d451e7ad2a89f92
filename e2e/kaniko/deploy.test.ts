import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type Scene, setScene } from '../support/scene.ts';

const services = inject('services');
const port = 8080;

const source = {
  Dockerfile: `FROM node:24
WORKDIR /site
COPY server.js .
ARG GREETING
ENV GREETING=$GREETING
CMD ["node", "server.js"]
`,
  'server.js': `require('node:http')
  .createServer((request, response) => response.end(process.env.GREETING))
  .listen(${port});
`,
};

describe('a source that is built on Kubernetes and runs there', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await setScene(services);
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  it('answers HTTP from the image in the embedded registry', async () => {
    await using server = await scene.startServer();
    const host = new URL(server.url).host;
    const forget = await trustPlainHttp(host);
    try {
      const buildArguments = { GREETING: 'good morning' };
      const { id } = await server.api.build(source, { buildArguments, tags: ['first'] });
      const build = await server.api.finish(id);
      expect(build.failure).toBeNull();
      const reference = build.image?.reference ?? '';
      expect(reference).toMatch(new RegExp(`^${host}/default/app@sha256:[0-9a-f]{64}$`));

      const pullSecret = { host, password: server.token };
      const site = await scene.namespace.deploy({
        name: 'site',
        image: reference,
        port,
        pullSecret,
      });
      expect(await site.get()).toBe('good morning');
    } finally {
      await forget();
    }
  });

  it('answers HTTP from the image in a registry of its own, by the tag that the user asked for', async () => {
    const { registry } = services.cluster;
    await using server = await scene.startServer({ REGISTRY_URL: `http://${registry}` });
    const buildArguments = { GREETING: 'good evening' };
    const repository = scene.namespace.name;
    const { id } = await server.api.build(source, { repository, buildArguments, tags: ['second'] });
    const build = await server.api.finish(id);
    expect(build.failure).toBeNull();

    const image = `${registry}/default/${repository}:second`;
    const site = await scene.namespace.deploy({ name: 'site-two', image, port });
    expect(await site.get()).toBe('good evening');
  });

  it('leaves no Job behind', async () => {
    await expect.poll(() => scene.namespace.jobs(), { timeout: 20_000 }).toEqual([]);
  });
});

/** Lets the kubelet pull from a registry that speaks plain HTTP. Another cluster's nodes must allow it by themselves. */
async function trustPlainHttp(host: string): Promise<() => Promise<void>> {
  const { containerdHosts } = services.cluster;
  if (containerdHosts === null) return async () => {};
  const directory = join(containerdHosts, host);
  await mkdir(directory, { recursive: true });
  const address = `"http://${host}"`;
  const entry = `server = ${address}\n[host.${address}]\n  capabilities = ["pull", "resolve"]\n`;
  await writeFile(join(directory, 'hosts.toml'), entry);
  return () => rm(directory, { recursive: true });
}
