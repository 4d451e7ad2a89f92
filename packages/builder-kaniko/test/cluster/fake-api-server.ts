import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { KubeConfig } from '@kubernetes/client-node';

type Kind = 'jobs' | 'pods';

interface FakeObject {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly labels: Readonly<Record<string, string>>;
    resourceVersion: string;
  };
  readonly status: object;
}

interface Received {
  /** `POST jobs`, `GET jobs/build-1`, `LIST pods`, `WATCH pods`, `GET log`. */
  readonly what: string;
  readonly version: string | null;
}

interface Fault {
  readonly what: string;
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** At every such request, not at the next one only. */
  readonly lasts?: boolean;
}

interface Watcher {
  readonly kind: Kind;
  readonly response: ServerResponse;
  isMute: boolean;
}

/**
 * Plays a Kubernetes API server over real HTTP, as far as builds use one: objects with versions, lists, watches, the logs of
 * pods that run at once. Makes the faults that a real one makes only under load or after hours.
 */
export async function startFakeApiServer() {
  const objects = { jobs: new Map<string, FakeObject>(), pods: new Map<string, FakeObject>() };
  const history: { kind: Kind; version: number; event: string }[] = [];
  const watchers = new Set<Watcher>();
  const logs = new Map<string, ServerResponse>();
  const printed = new Map<string, string>();
  const received: Received[] = [];
  const faults: Fault[] = [];
  let version = 100;
  let oldest = 0;

  function announce(kind: Kind, type: string, object: FakeObject): void {
    version += 1;
    object.metadata.resourceVersion = String(version);
    const event = `${JSON.stringify({ type, object })}\n`;
    history.push({ kind, version, event });
    for (const watcher of watchers) {
      if (watcher.kind === kind && !watcher.isMute) watcher.response.write(event);
    }
  }

  function put(kind: Kind, name: string, { labels = {}, status = {} } = {}): void {
    const known = objects[kind].get(name);
    const uid = known?.metadata.uid ?? `uid-${name}`;
    const metadata = { name, uid, labels: known?.metadata.labels ?? labels, resourceVersion: '' };
    const object = { metadata, status };
    objects[kind].set(name, object);
    announce(kind, known ? 'MODIFIED' : 'ADDED', object);
  }

  function remove(kind: Kind, name: string): void {
    const known = objects[kind].get(name);
    if (!known) return;
    objects[kind].delete(name);
    announce(kind, 'DELETED', known);
    logs.get(name)?.end();
  }

  /** What the Job controller and a node with nothing else to do make of it. */
  function runPod(job: string): void {
    const running = { name: 'kaniko', state: { running: {} } };
    put('pods', `${job}-pod`, {
      labels: { 'batch.kubernetes.io/job-name': job },
      status: { phase: 'Running', containerStatuses: [running] },
    });
  }

  function watch(kind: Kind, from: number, response: ServerResponse): void {
    response.writeHead(200).flushHeaders();
    if (from < oldest) {
      endWithGone(response);
      return;
    }
    const watcher = { kind, response, isMute: false };
    watchers.add(watcher);
    response.on('close', () => watchers.delete(watcher));
    for (const past of history) {
      if (past.kind === kind && past.version > from) response.write(past.event);
    }
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://api');
    const [, kind = '', name, sub] = /\/namespaces\/builds\/(\w+)\/?([^/]*)\/?(.*)$/.exec(
      url.pathname,
    ) ?? [''];
    const isWatch = url.searchParams.get('watch') === 'true';
    const collection = isWatch ? `WATCH ${kind}` : `LIST ${kind}`;
    const single = sub ? `GET ${sub}` : `${request.method} ${kind}${name ? `/${name}` : ''}`;
    const what = request.method === 'GET' && !name ? collection : single;
    received.push({ what, version: url.searchParams.get('resourceVersion') });
    const body = await text(request);
    const fault = faults.find((each) => each.what === what);
    if (fault && !fault.lasts) faults.splice(faults.indexOf(fault), 1);
    const json = (status: number, content: object, headers = {}) =>
      response.writeHead(status, headers).end(JSON.stringify(content));

    if (fault) return void json(fault.status, { message: 'a fault' }, fault.headers);
    if (isWatch) {
      return watch(kind as Kind, Number(url.searchParams.get('resourceVersion')), response);
    }
    if (sub === 'log') {
      if (!objects.pods.has(name ?? '')) return void json(404, { message: 'not found' });
      response.writeHead(200).flushHeaders();
      const isFollowed = url.searchParams.get('follow') === 'true';
      if (!isFollowed) return void response.end(printed.get(name ?? ''));
      logs.set(name ?? '', response);
      return;
    }
    if (what.startsWith('LIST')) {
      const items = [...objects[kind as Kind].values()];
      return void json(200, { metadata: { resourceVersion: String(version) }, items });
    }
    if (kind === 'secrets') return void json(201, {});
    if (request.method === 'POST') {
      const { metadata } = JSON.parse(body);
      put('jobs', metadata.name, metadata);
      runPod(metadata.name);
      return void json(201, objects.jobs.get(metadata.name) ?? {});
    }
    const found = objects.jobs.get(name ?? '');
    if (!found) return void json(404, { message: 'not found' });
    if (request.method === 'DELETE') {
      remove('jobs', name ?? '');
      remove('pods', `${name}-pod`);
    }
    json(200, found);
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error) => response.destroy(error));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromClusterAndUser(
    { name: 'fake', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
    { name: 'nobody' },
  );

  return {
    kubeconfig,
    received,
    /** Each is made once, at the next request that is so called, unless it lasts. */
    faults,
    put,
    remove,
    count: (what: string) => received.filter((each) => each.what.startsWith(what)).length,
    watching: (kind: Kind) => [...watchers].filter((each) => each.kind === kind).length,
    logged: () => logs.size,
    print(job: string, line: string) {
      const pod = `${job}-pod`;
      const stamped = `${new Date().toISOString()} ${line}\n`;
      printed.set(pod, `${printed.get(pod) ?? ''}${stamped}`);
      logs.get(pod)?.write(stamped);
    },
    /** Ends kaniko's container. */
    exit(job: string, exitCode: number) {
      const terminated = { name: 'kaniko', state: { terminated: { exitCode } } };
      const phase = exitCode === 0 ? 'Succeeded' : 'Failed';
      put('pods', `${job}-pod`, { status: { phase, containerStatuses: [terminated] } });
      logs.get(`${job}-pod`)?.end();
    },
    /** Forgets what happened: whoever asks from an earlier version is told 410, inside of a 200 as a real server does. */
    forget() {
      oldest = version;
      history.length = 0;
    },
    /** Ends watches as if their connections had broken. */
    dropWatches() {
      for (const { response } of watchers) response.destroy();
    },
    /** Leaves watches open, and says nothing on them any more. */
    muteWatches() {
      for (const watcher of watchers) watcher.isMute = true;
    },
    goneOnWatches() {
      for (const { response } of watchers) endWithGone(response);
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function endWithGone(response: ServerResponse): void {
  const status = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' };
  response.end(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
}
