import type { RegistryCredentials } from '@cygni/core';
import { createOciRegistry } from '@cygni/registry-oci';
import { describe, expect, it } from 'vitest';
import { call, createBuilder, finished } from './support/builder.ts';
import { registryProxyImage } from './support/registry-proxy-image.ts';
import { serveImages } from './support/serve-images.ts';

/** A registry in which each password opens one repository for some actions, or everything. */
async function startRegistry(reach: RegistryCredentials['reach']) {
  const images = await serveImages(async ({ authorization = '', repository, action }) => {
    const [, basic = ''] = authorization.split(' ');
    const [, password = ''] = Buffer.from(basic, 'base64').toString().split(':');
    if (password === '') return 'unauthenticated';
    if (repository === null || password === 'opens-everything') return 'allow';
    const [own, actions = ''] = password.split('|');
    return own === repository && actions.includes(action) ? 'allow' : 'forbidden';
  });
  const { host } = images;
  const registry = createOciRegistry({ host, insecure: true, credentials: () => everything });
  const everything = {
    username: 'account',
    password: 'opens-everything',
    expiresAt: null,
    reach: 'account' as const,
  };
  return {
    host,
    registry: {
      ...registry,
      credentials: async (repository: string, actions: readonly string[]) =>
        reach === 'account'
          ? everything
          : {
              username: 'one',
              password: `${repository}|${actions.join(',')}`,
              expiresAt: null,
              reach,
            },
    },
    async [Symbol.asyncDispose]() {
      await registry.close();
      await images[Symbol.asyncDispose]();
    },
  };
}

describe.each(['repository', 'account'] as const)(
  'base images in a registry whose credentials open one %s',
  (reach) => {
    it('are had from the repositories of the tenant, and from no other’s', async () => {
      await using builder = await createBuilder();
      await using own = await startRegistry(reach);
      const proxy = reach === 'account' ? { image: await registryProxyImage() } : null;
      await using pipeline = builder.open({
        registry: own.registry,
        registryProxy: proxy,
        cache: null,
      });
      await pipeline.open(call());
      const build = async (tenantId: string, name: string, Dockerfile: string) => {
        const repository = `${tenantId}/${name}`;
        const destination = { host: own.host, insecure: true, repository };
        const job = await builder.job({
          files: { Dockerfile, 'a.txt': name },
          tenantId,
          destination,
        });
        return finished(await pipeline.start(job, call()));
      };
      for (const tenant of ['acme', 'rival']) {
        const { outcome } = await build(tenant, 'base', 'FROM scratch\nCOPY a.txt /base\n');
        if (outcome.status !== 'succeeded') throw new Error(outcome.message);
        await own.registry.tag(`${tenant}/base`, outcome.digest, 'v1', call());
      }
      const from = (tenant: string) =>
        [
          `ARG BASE=${own.host}/${tenant}/base`,
          // biome-ignore lint/suspicious/noTemplateCurlyInString: a Dockerfile writes its arguments so
          'FROM ${BASE}:v1 AS base',
          'FROM scratch',
          'COPY --from=base /base /copied',
        ].join('\n');
      const good = await build('acme', 'app', from('acme'));
      expect(good.outcome, good.lines.join('\n')).toMatchObject({ status: 'succeeded' });
      const { outcome, lines } = await build('acme', 'app', from('rival'));
      expect(outcome, lines.join('\n')).toMatchObject({ status: 'failed', reason: 'image_pull' });
    });
  },
);
