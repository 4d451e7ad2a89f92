import type { V1Pod } from '@kubernetes/client-node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createClusterClient } from '../../src/cluster/client.ts';
import { type ClusterConnection, createClusterConnection } from '../../src/cluster/connection.ts';
import { podSchema } from '../../src/cluster/objects.ts';
import { type ObjectWatch, watchObjects } from '../../src/cluster/watch-objects.ts';
import { testCall, until } from '../log/following.ts';
import { startFakeApiServer } from './fake-api-server.ts';

let server: Awaited<ReturnType<typeof startFakeApiServer>>;
let connection: ClusterConnection;
let stop: AbortController;
beforeEach(async () => {
  server = await startFakeApiServer();
  connection = createClusterConnection(server.kubeconfig);
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await connection.close();
  await server[Symbol.asyncDispose]();
});

const pod = (job: string, phase: string) => ({
  labels: { 'batch.kubernetes.io/job-name': job },
  status: { phase },
});

/** Watches pods; `heard` is what a listener of the Job `a` was told. */
async function watching(silenceMs = 60_000) {
  const call = testCall(stop.signal);
  const watch: ObjectWatch<V1Pod> = watchObjects(
    {
      connection,
      client: createClusterClient(connection, 1_000),
      path: '/api/v1/namespaces/builds/pods',
      labelSelector: '',
      schema: podSchema,
      keyOf: ({ metadata }) => metadata?.labels?.['batch.kubernetes.io/job-name'] ?? '',
      silenceMs,
    },
    call,
  );
  const heard: string[] = [];
  watch.subscribe('a', (value) => heard.push(value?.status?.phase ?? 'gone'));
  await watch.synced(call.signal);
  await until('a watch', () => server.watching('pods') === 1);
  return { watch, heard };
}

/** On a server that plays Kubernetes: a real one forgets after minutes, and falls silent when its network does. */
describe('a watch', () => {
  it('tells of what is there, and of each change, from one list', async () => {
    server.put('pods', 'a-1', pod('a', 'Pending'));
    const { heard } = await watching();
    server.put('pods', 'a-1', pod('a', 'Running'));
    server.put('pods', 'b-1', pod('b', 'Running'));
    server.remove('pods', 'a-1');
    await until('the end', () => heard.includes('gone'));
    expect(heard).toEqual(['Pending', 'Running', 'Running', 'gone']);
    expect(server.received.map(({ what }) => what)).toEqual(['LIST pods', 'WATCH pods']);
  });

  it('that the server tells 410 lists anew, and misses nothing that happened meanwhile', async () => {
    server.put('pods', 'a-1', pod('a', 'Running'));
    server.put('pods', 'b-1', pod('b', 'Running'));
    const { watch, heard } = await watching();
    server.muteWatches();
    server.put('pods', 'a-1', pod('a', 'Succeeded'));
    server.remove('pods', 'b-1');
    server.put('pods', 'c-1', pod('c', 'Pending'));
    server.goneOnWatches();
    await until('the list', () => heard.includes('Succeeded'));
    await until('a new watch', () => server.watching('pods') === 1);
    expect([...watch.all()].map(({ metadata }) => metadata?.name)).toEqual(['a-1', 'c-1']);
    server.remove('pods', 'a-1');
    await until('the end', () => heard.includes('gone'));
    expect(server.count('LIST pods')).toBe(2);
  });

  it.each(['inside of its stream', 'by its status'])(
    'that asks from a version which the server has forgotten, and is told so %s, lists anew',
    async (how) => {
      const { heard } = await watching();
      if (how === 'by its status') server.faults.push({ what: 'WATCH pods', status: 410 });
      server.muteWatches();
      server.put('pods', 'a-1', pod('a', 'Running'));
      server.forget();
      server.dropWatches();
      await until('the list', () => heard.includes('Running'));
      await until('a new watch', () => server.watching('pods') === 1);
      const [newest] = server.received.toReversed();
      expect(Number(newest?.version)).toBeGreaterThan(100);
    },
  );

  it('whose connection breaks misses nothing', async () => {
    const { heard } = await watching();
    for (const phase of ['Pending', 'Running', 'Succeeded']) {
      server.dropWatches();
      server.put('pods', 'a-1', pod('a', phase));
      await until(phase, () => heard.includes(phase));
      await until('a new watch', () => server.watching('pods') === 1);
    }
  });

  it('that falls silent without an end is given up, and its objects are listed anew', async () => {
    server.put('pods', 'a-1', pod('a', 'Running'));
    const { heard } = await watching(100);
    server.muteWatches();
    server.remove('pods', 'a-1');
    await until('the end', () => heard.includes('gone'));
    server.put('pods', 'a-2', pod('a', 'Pending'));
    await until('the new pod', () => heard.includes('Pending'));
  });
});
