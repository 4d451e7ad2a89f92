import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { BuildOutcome, RegistryCredentials } from '@cygni/core';
import { createOciRegistry } from '@cygni/registry-oci';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type GuardedRegistry,
  guardedRegistry,
} from '../../registry-proxy/test/support/guarded-registry.ts';
import { image as makeImage, sha256 } from '../../registry-proxy/test/support/image.ts';
import { call, createBuilder, finished, type TestBuilder } from './support/builder.ts';
import { cluster } from './support/namespace.ts';
import { registryProxyImage } from './support/registry-proxy-image.ts';

const repository = 'acme/site';
const buildMs = 150_000;
/** A search takes a CPU that is not shared in tenths. */
const machine = { cpu: '2', cpuRequest: '50m', memory: '1Gi', ephemeralStorage: '2Gi' };
/** In places that each build has, so that a search which finds them not is none. */
const planted = { environment: canary(), file: canary(), process: canary() };
const rival = makeImage();
const layer = sha256(rival.layer);

let builder: TestBuilder;
let registry: GuardedRegistry;
let password: string;

beforeAll(async () => {
  builder = await createBuilder();
  registry = await guardedRegistry({ host: cluster.nodeAddress, redirects: true });
  password = registry.issue();
  await pushRival();
});
afterAll(async () => {
  await registry?.[Symbol.asyncDispose]();
  await builder?.[Symbol.asyncDispose]();
});

describe('a build that looks for credentials', () => {
  let outcome: BuildOutcome;
  let lines: readonly string[];
  let requests: readonly string[];
  beforeAll(async () => {
    const before = registry.seen.length;
    ({ outcome, lines } = await search('account'));
    requests = registry.seen.slice(before).map((each) => `${each.method} ${each.path}`);
  });
  const said = (word: string) => lines.filter((line) => line.startsWith(`${word} `));

  it('finds what was planted for it, so it does search', () => {
    expect(lines).toContain('--- end');
    const found = said('FOUND');
    expect(found).toContain(`FOUND environment ${planted.environment}`);
    expect(found).toContain(`FOUND /opt/hidden/config ${planted.file}`);
    expect(found).toContain(`FOUND /proc/1/cmdline ${planted.process}`);
    expect(found).toContain(`FOUND memory ${planted.process}`);
  });

  it('finds no credentials in the environment, in files, in processes or in memory', () => {
    const known = Object.values(planted);
    // Whatever a log hides of a credential, the line that says where it was stands there.
    const others = said('FOUND').filter((line) => !known.some((each) => line.includes(each)));
    expect(others).toEqual([]);
    expect(lines.join('\n')).not.toContain('secret-cookie');
    expect(said('EXISTS')).toEqual(['EXISTS /kaniko/.docker/config.json']);
    expect(said('CONFIG')).toEqual(['CONFIG {"auths":{}}']);
    expect(said('PROCESS').filter((line) => line.includes('proxy.cjs'))).toEqual([]);
  });

  it('finds one open port on the loopback, the proxy’s', () => {
    expect([...new Set(said('LISTEN'))]).toEqual(['LISTEN 5001']);
  });

  it('reaches no other repository through the proxy, and no other action', () => {
    const statuses = Object.fromEntries(
      said('ASK').map((line) => {
        const [, request = '', status = ''] = /^ASK (.+?): HTTP\/1\.1 (\d+)/.exec(line) ?? [];
        return [request, Number(status)];
      }),
    );
    const base = '/v2/target';
    expect(statuses).toEqual({
      // Its own repository: the answer is the registry's.
      [`GET ${base}/acme/site/manifests/none`]: 404,
      [`GET ${base}/rival/secret/manifests/one`]: 403,
      [`GET ${base}/acme/other/manifests/one`]: 403,
      [`GET ${base}/rival/cygni-cache/manifests/one`]: 403,
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
      [`PUT ${base}/acme/site/manifests/attempt-another-1`]: 403,
      [`PUT ${base}/rival/secret/manifests/one`]: 403,
      [`POST ${base}/rival/cygni-cache/blobs/uploads/`]: 403,
      [`DELETE ${base}/acme/site/manifests/one`]: 405,
    });
    expect(requests.filter((each) => /rival|mount/.test(each) && !each.startsWith('GET'))).toEqual(
      [],
    );
  });

  it('is let in nowhere by itself', () => {
    const reached = said('REACH');
    expect(reached.find((line) => line.startsWith('REACH upstream'))).toMatch(/401/);
    expect(reached.find((line) => line.startsWith('REACH apiserver'))).not.toMatch(/"items"/);
    // Without the proxy's credentials the registry shows nothing of the rival.
    expect(lines.join('\n')).not.toContain(rival.digest);
  });

  it('succeeds all the same, and the registry has its image and its layers for the next', async () => {
    expect(outcome).toMatchObject({
      status: 'succeeded',
      cache: { hits: 0, misses: 2, degraded: false },
    });
    const digest = outcome.status === 'succeeded' ? outcome.digest : '';
    const there = await registry.direct(`/v2/${repository}/manifests/${digest}`);
    expect(there.status).toBe(200);
  });
});

describe('a build whose credentials open its own repository only', () => {
  it('finds them where kaniko has them: so the search would find those of an account', async () => {
    const { outcome, lines } = await search('repository');
    expect(outcome).toMatchObject({ status: 'succeeded' });
    expect(lines).toContain('--- end');
    const found = lines.filter((line) => line.startsWith('FOUND /kaniko/.docker/'));
    expect(found).toContainEqual(expect.stringMatching(/config\.json .*\[redacted\]/));
  });
});

/** Builds a Dockerfile that searches, through the pipeline as an operator sets it up. */
async function search(reach: RegistryCredentials['reach']) {
  const host = registry.origin.replace('http://', '');
  const credentials = { username: registry.username, password, expiresAt: null, reach };
  await using target = createOciRegistry({ host, insecure: true, credentials: () => credentials });
  await using pipeline = builder.open({
    registry: target,
    registryProxy: { image: await registryProxyImage() },
    machines: { small: machine, medium: machine, large: machine },
  });
  await pipeline.open(call());
  const script = await readFile(new URL('support/search.sh', import.meta.url));
  const job = await builder.job({
    tenantId: 'acme',
    destination: { host, insecure: true, repository },
    files: { Dockerfile: await dockerfile(reach), 'search.sh': script },
    // An argument of kaniko's own process, and so in its memory; the Dockerfile does not declare it.
    buildArguments: { PLANTED_FOR_KANIKO: planted.process },
    timeoutSeconds: buildMs / 1_000,
  });
  return await finished(await pipeline.start(job, call()), buildMs);
}

/** `reach` is written into it, or the second search would be taken from the layer cache. */
async function dockerfile(reach: string): Promise<string> {
  const address = '-ojsonpath={.spec.clusterIP}:{.spec.ports[0].port}';
  const service = ['get', 'service', 'kubernetes', '--namespace=default'];
  const server = await builder.namespace.kubectl(...service, address);
  return [
    'FROM busybox:1',
    `ENV PLANTED=${planted.environment} SECRET_LAYER=${layer} REACH=${reach}`,
    `ENV UPSTREAM=${registry.origin} API_SERVER=${server}`,
    `RUN mkdir -p /opt/hidden && { printf %s ${halves(planted.file)}; } > /opt/hidden/config`,
    'COPY search.sh /search',
    'RUN sh /search',
  ].join('\n');
}

async function pushRival(): Promise<void> {
  for (const bytes of [rival.config, rival.layer]) {
    const path = `/v2/rival/secret/blobs/uploads/?digest=${sha256(bytes)}`;
    await registry.direct(path, { method: 'POST', body: bytes });
  }
  const headers = { 'content-type': 'application/vnd.oci.image.manifest.v1+json' };
  const path = '/v2/rival/secret/manifests/one';
  const answer = await registry.direct(path, { method: 'PUT', headers, body: rival.manifest });
  expect(answer.status).toBe(201);
}

function canary(): string {
  return `canary-${randomBytes(24).toString('hex')}`;
}

/** Two commands of printf, so that the search does not find the line that plants it. */
function halves(text: string): string {
  return `${text.slice(0, 20)}; printf %s ${text.slice(20)}`;
}
