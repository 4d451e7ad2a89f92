import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GuardedRegistry, guardedRegistry } from '../test/support/guarded-registry.ts';
import { image as makeImage, sha256 } from '../test/support/image.ts';
import { buildInPod, type PodResult } from './support/build-pod.ts';
import { type Cluster, clusterPresent, useCluster } from './support/cluster.ts';
import { proxyImage } from './support/proxy-image.ts';

const planted = {
  environment: canary(),
  file: canary(),
  process: canary(),
};
const rival = makeImage();
const layer = sha256(rival.layer);

describe.skipIf(!clusterPresent && !process.env.CI)('a build that looks for credentials', () => {
  let cluster: Cluster;
  let registry: GuardedRegistry;
  let password: string;
  let result: PodResult;
  let requests: readonly string[];

  beforeAll(async () => {
    cluster = await useCluster();
    const proxy = await proxyImage(cluster);
    registry = await guardedRegistry({ host: cluster.nodeAddress, redirects: true });
    password = registry.issue();
    await pushRival(registry);
    const search = await readFile(new URL('support/search.sh', import.meta.url), 'utf8');
    const server = await cluster.kubectl(
      'get',
      'service',
      'kubernetes',
      '--namespace=default',
      '--output=jsonpath={.spec.clusterIP}:{.spec.ports[0].port}',
    );
    result = await buildInPod(cluster, {
      name: 'hostile',
      proxyImage: proxy,
      configuration: {
        upstreams: [
          {
            name: 'target',
            origin: registry.origin,
            credentials: { username: registry.username, password, expiresAt: null },
            repositories: [{ name: 'acme/site', actions: ['pull', 'push'], tags: ['one'] }],
          },
          {
            name: 'hub',
            origin: `http://${cluster.registry}`,
            repositories: [{ name: '*', actions: ['pull'] }],
          },
        ],
      },
      dockerfile: [
        'FROM busybox:1',
        `ENV PLANTED=${planted.environment} SECRET_LAYER=${layer}`,
        `ENV UPSTREAM=${registry.origin} API_SERVER=${server}`,
        `RUN mkdir -p /opt/hidden && { printf %s ${halves(planted.file)}; } > /opt/hidden/config`,
        `RUN echo ${Buffer.from(search).toString('base64')} | base64 -d > /search && sh /search`,
      ].join('\n'),
      kanikoArguments: [
        '--destination=127.0.0.1:5001/target/acme/site:one',
        '--registry-map=index.docker.io=127.0.0.1:5001/hub',
        '--skip-default-registry-fallback',
        '--skip-push-permission-check',
        '--push-retry=3',
        '--image-download-retry=3',
      ],
      // The environment of kaniko's own process, and with it its memory.
      kanikoEnvironment: { PLANTED_FOR_KANIKO: planted.process },
    });
    requests = registry.seen.map((each) => `${each.method} ${each.path}`);
  });
  afterAll(async () => {
    await registry?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  it('finds what was planted for it, so it does search', () => {
    expect(result.kanikoLog).toContain('--- end');
    expect(result.exitCode).toBe(0);
    const found = lines(result.kanikoLog, 'FOUND');
    expect(found).toContain(`FOUND environment ${planted.environment}`);
    expect(found).toContain(`FOUND /opt/hidden/config ${planted.file}`);
    expect(found).toContain(`FOUND /proc/1/environ ${planted.process}`);
    expect(found).toContain(`FOUND memory ${planted.process}`);
  });

  it('finds no credentials in the environment, in files, in processes or in memory', () => {
    const known = Object.values(planted);
    const others = lines(result.kanikoLog, 'FOUND').filter(
      (line) => !known.some((each) => line.includes(each)),
    );
    expect(others).toEqual([]);
    const pair = Buffer.from(`${registry.username}:${password}`).toString('base64');
    for (const secret of [password, pair]) {
      expect(result.kanikoLog).not.toContain(secret);
      expect(result.proxyLog).not.toContain(secret);
    }
    expect(result.kanikoLog).not.toContain('secret-cookie');
    expect(lines(result.kanikoLog, 'EXISTS')).toEqual([]);
    expect(lines(result.kanikoLog, 'PROCESS').filter((line) => line.includes('proxy.cjs'))).toEqual(
      [],
    );
  });

  it('finds one open port on the loopback, the proxy’s', () => {
    expect([...new Set(lines(result.kanikoLog, 'LISTEN'))]).toEqual(['LISTEN 5001']);
  });

  it('reaches no other repository through the proxy, and no other action', () => {
    const asked = lines(result.kanikoLog, 'ASK');
    const statuses = Object.fromEntries(
      asked.map((line) => {
        const [, request = '', status = ''] = /^ASK (.+?): HTTP\/1\.1 (\d+)/.exec(line) ?? [];
        return [request, Number(status)];
      }),
    );
    const base = '/v2/target';
    expect(statuses).toEqual({
      // Its own repository: the answer is the registry's.
      [`GET ${base}/acme/site/manifests/none`]: 404,
      [`GET ${base}/rival/secret/manifests/one`]: 403,
      [`GET ${base}/acme/site/../../rival/secret/manifests/one`]: 404,
      [`GET ${base}/acme/site/%2e%2e/%2e%2e/rival/secret/manifests/one`]: 404,
      [`GET ${base}/acme%2fsite/../rival/secret/manifests/one`]: 404,
      [`GET ${base}//rival/secret/manifests/one`]: 404,
      [`GET http://127.0.0.1:5001${base}/rival/secret/manifests/one`]: 404,
      [`GET ${base}/acme/site/tags/list`]: 404,
      'GET /v2/_catalog': 404,
      'GET /token': 404,
      // An ordinary upload is begun instead of the mount.
      [`POST ${base}/acme/site/blobs/uploads/?mount=${layer}&from=target/rival/secret`]: 202,
      [`POST ${base}/acme/site/blobs/uploads/?mount=${layer}&from=rival/secret`]: 202,
      [`POST ${base}/acme/site/blobs/uploads/?mount=${layer}`]: 202,
      [`GET ${base}/acme/site/blobs/${layer}`]: 404,
      [`PUT ${base}/acme/site/manifests/latest`]: 403,
      [`PUT ${base}/rival/secret/manifests/one`]: 403,
      [`DELETE ${base}/acme/site/manifests/one`]: 405,
    });
    expect(requests.filter((each) => /rival|mount/.test(each) && !each.startsWith('GET'))).toEqual(
      [],
    );
  });

  it('is let in nowhere by itself', () => {
    const reached = lines(result.kanikoLog, 'REACH');
    expect(reached.find((line) => line.startsWith('REACH upstream'))).toMatch(/401/);
    // No cluster of ours has a metadata service; that nothing answers shows only that the proxy does not.
    expect(reached).toContain('REACH metadata: ');
    expect(reached.find((line) => line.startsWith('REACH apiserver'))).not.toMatch(/"items"/);
    // Without the proxy's credentials the registry shows nothing of the rival.
    expect(result.kanikoLog).not.toContain(rival.digest);
  });

  it('pushed all the same, and the proxy says what', async () => {
    const there = await registry.direct('/v2/acme/site/manifests/one');
    expect(result.proxyLines.filter((line) => line.event === 'pushed')).toEqual([
      {
        event: 'pushed',
        upstream: 'target',
        repository: 'acme/site',
        reference: 'one',
        digest: there.headers.get('docker-content-digest'),
      },
    ]);
  });
});

async function pushRival(registry: GuardedRegistry): Promise<void> {
  for (const bytes of [rival.config, rival.layer]) {
    const path = `/v2/rival/secret/blobs/uploads/?digest=${sha256(bytes)}`;
    await registry.direct(path, { method: 'POST', body: bytes });
  }
  const headers = { 'content-type': 'application/vnd.oci.image.manifest.v1+json' };
  const path = '/v2/rival/secret/manifests/one';
  const answer = await registry.direct(path, { method: 'PUT', headers, body: rival.manifest });
  expect(answer.status).toBe(201);
}

function lines(log: string, word: string): string[] {
  return log.split('\n').filter((line) => line.startsWith(`${word} `));
}

function canary(): string {
  return `canary-${randomBytes(24).toString('hex')}`;
}

/** Two arguments of printf, so that the search does not find the line that plants it. */
function halves(text: string): string {
  return `${text.slice(0, 20)}; printf %s ${text.slice(20)}`;
}
