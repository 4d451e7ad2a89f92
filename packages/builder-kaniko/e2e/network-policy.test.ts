import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { buildNetworkPolicy } from '@cygni/builder-kaniko';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, createBuilder, finished, type TestBuilder } from './support/builder.ts';
import { cluster } from './support/namespace.ts';
import { runProgram } from './support/run-program.ts';

const port = 8080;
/** A network plugin learns of a pod a moment after it has begun. */
const triesOfStep = 15;

let builder: TestBuilder;
let neighbour: string;
beforeAll(async () => {
  await networkPolicies('on');
  builder = await createBuilder();
  const { namespace } = builder;
  const serve = `mkdir /www && echo "the neighbour answers" > /www/index.html && httpd -f -p ${port} -h /www`;
  const image = `${cluster.registry}/library/busybox:1`;
  await namespace.kubectl('run', 'neighbour', `--image=${image}`, '--', 'sh', '-c', serve);
  await namespace.kubectl('wait', '--for=condition=Ready', 'pod/neighbour', '--timeout=60s');
  neighbour = await podAddress('neighbour');
});
afterAll(async () => {
  await builder?.[Symbol.asyncDispose]();
  await networkPolicies('off');
});

describe('the network policy', () => {
  it('is what keeps a build from its neighbours, and them from it: without one, each reaches the other', async () => {
    const { outcome, said } = await buildThatAsks('answer');
    expect(outcome).toMatchObject({ status: 'succeeded' });
    expect(said('EGRESS').at(-1)).toBe('EGRESS the neighbour answers');
    expect(said('INGRESS')).toEqual(['INGRESS the build answers']);
  });

  it('leaves a build its source, its base image and its registry, and no way to the cluster or to the metadata address', async () => {
    const { namespace } = builder;
    const policy = buildNetworkPolicy({
      namespace: namespace.name,
      deny: [`${neighbour}/32`],
      allow: [`${cluster.nodeAddress}/32`],
    });
    await namespace.apply(policy);
    const { outcome, said } = await buildThatAsks('silence');
    expect(outcome).toMatchObject({ status: 'succeeded' });
    expect(said('EGRESS').at(-1)).toBe('EGRESS ');
    expect(said('METADATA')).toEqual(['METADATA ']);
    expect(said('INGRESS')).toEqual(['INGRESS ']);
  });
});

/** Where the cluster is another's, it is taken to enforce them. */
async function networkPolicies(state: 'on' | 'off'): Promise<void> {
  const { CLUSTER_PROGRAMS } = process.env;
  if (CLUSTER_PROGRAMS) await runProgram(join(CLUSTER_PROGRAMS, 'network-policies'), [state]);
}

/** A build of which a step asks its neighbour, until it gets what it expects, and lets its neighbour ask it. */
async function buildThatAsks(expects: 'answer' | 'silence') {
  await using pipeline = builder.open();
  await pipeline.open(call());
  await using messenger = await startMessenger(askBuild);
  const job = await builder.job({ files: {} });
  const step = [
    'mkdir /www && echo "the build answers" > /www/index.html',
    `(httpd -f -p ${port} -h /www &)`,
    `for i in $(seq ${triesOfStep}); do answer=$(timeout 2 wget -qO- http://${neighbour}:${port}); echo "EGRESS $answer"; [ ${expects === 'answer' ? '-z' : '-n'} "$answer" ] || break; sleep 1; done`,
    // Asked only where the policy was seen to hold: elsewhere that request could leave the cluster.
    ...(expects === 'silence'
      ? ['[ -n "$answer" ] || echo "METADATA $(timeout 2 wget -qO- http://169.254.169.254/)"']
      : []),
    `echo "INGRESS $(wget -qO- ${messenger.url}/${job.buildId})"`,
  ].join('; ');
  const source = await builder.sources.source({ Dockerfile: `FROM busybox:1\nRUN ${step}\n` });
  const { outcome, lines } = await finished(await pipeline.start({ ...job, source }, call()));
  const said = (word: string) => lines.filter((line) => line.startsWith(`${word} `));
  return { outcome, said };
}

/** What the neighbour is told by that build; empty where it does not get there. */
async function askBuild(buildId: string): Promise<string> {
  const { namespace } = builder;
  const [pod = ''] = await builder.names('pods', buildId);
  const address = await podAddress(pod.replace('pod/', ''));
  const ask = `timeout 2 wget -qO- http://${address}:${port} || true`;
  return namespace.kubectl('exec', 'neighbour', '--', 'sh', '-c', ask);
}

async function podAddress(name: string): Promise<string> {
  return builder.namespace.kubectl('get', 'pod', name, '-ojsonpath={.status.podIP}');
}

/** Answers a step with what was found out for the build that it names. */
async function startMessenger(answer: (buildId: string) => Promise<string>) {
  const server = createServer((request, response) => {
    const fail = (error: unknown) => response.writeHead(500).end(String(error));
    answer(request.url?.slice(1) ?? '').then((text) => response.end(text), fail);
  });
  server.listen(0, cluster.nodeAddress);
  await once(server, 'listening');
  return {
    url: `http://${cluster.nodeAddress}:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
