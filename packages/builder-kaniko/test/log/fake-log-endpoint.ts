import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { request } from 'undici';
import type { LogConnection } from '../../src/log/container-log.ts';

export interface WrittenLine {
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  readonly text: string;
  /** It has no line feed. */
  readonly open?: true;
}

/** What the endpoint does with one request, after it has found the lines that answer it. */
export interface Fault {
  readonly kind: 'status' | 'cut' | 'end' | 'hang' | 'delay';
  /** For `status`: what to answer. */
  readonly status?: number;
  /** For `cut`, `end` and `hang`: bytes that pass before. For `delay`: milliseconds. */
  readonly after?: number;
}

/**
 * A log endpoint as the kubelet's behind the API server: a file of stamped lines that grows and is rotated, `sinceTime` cut
 * to whole seconds, a follow that ends with its container. Answers over real HTTP, with the faults that it is told to make.
 */
export async function startLogEndpoint() {
  let file: WrittenLine[] = [];
  let state: 'waiting' | 'running' | 'ended' | 'gone' = 'waiting';
  const faults: Fault[] = [];
  const queries: URLSearchParams[] = [];
  const followers = new Set<(line: WrittenLine | null) => void>();
  const bytesPerChunk = { value: 65_536 };
  /** Stands before the lines of each answer. */
  const preamble = { value: '' };

  async function send(response: ServerResponse, bytes: Buffer): Promise<void> {
    for (let start = 0; start < bytes.length; start += bytesPerChunk.value) {
      const more = response.write(bytes.subarray(start, start + bytesPerChunk.value));
      if (!more)
        await new Promise((resolve) => response.once('drain', resolve).once('close', resolve));
      // A piece of its own on the wire, so that lines and characters are split anywhere.
      else if (bytesPerChunk.value < 65_536) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  const server = createServer(async (incoming, response) => {
    const query = new URL(incoming.url ?? '/', 'http://endpoint').searchParams;
    queries.push(query);
    const fault = faults.shift();
    if (fault?.kind === 'delay') await new Promise((resolve) => setTimeout(resolve, fault.after));
    if (fault?.kind === 'status') return void response.writeHead(fault.status ?? 500).end('no');
    if (state === 'gone') return void response.writeHead(404).end('no such pod');
    if (state === 'waiting') return void response.writeHead(400).end('waiting to start');

    const since = query.get('sinceTime');
    const from = since ? BigInt(Date.parse(since)) * 1_000_000n : 0n;
    let budget =
      fault?.kind === 'delay'
        ? Number.POSITIVE_INFINITY
        : (fault?.after ?? Number.POSITIVE_INFINITY);
    let over = false;
    response.writeHead(200).flushHeaders();
    response.setMaxListeners(0);
    if (preamble.value) response.write(preamble.value);

    async function write(lines: readonly WrittenLine[]): Promise<void> {
      const shown = lines
        .filter(({ time }) => time >= from)
        .map(stamped)
        .join('');
      const bytes = Buffer.from(shown);
      await send(response, bytes.subarray(0, Math.min(bytes.length, budget)));
      budget -= bytes.length;
      if (budget > 0 || over) return;
      over = true;
      if (fault?.kind === 'cut') response.destroy();
      if (fault?.kind === 'end') response.end();
    }

    let queued = Promise.resolve();
    const onLine = (line: WrittenLine | null) => {
      queued = queued.then(async () => {
        if (over) return;
        if (line) return write([line]);
        over = true;
        response.end();
      });
    };
    const snapshot = [...file];
    const follows = query.get('follow') === 'true' && state === 'running';
    if (follows) followers.add(onLine);
    response.on('close', () => followers.delete(onLine));
    queued = write(snapshot);
    if (!follows) onLine(null);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const connection: LogConnection = {
    request: ({ path, query, ...options }) =>
      request(`${address}${path}`, { ...options, bodyTimeout: options.bodyTimeoutMs, query }),
  };

  return {
    connection,
    faults,
    queries,
    bytesPerChunk,
    preamble,
    start() {
      state = 'running';
    },
    print(...lines: readonly WrittenLine[]) {
      file.push(...lines);
      for (const line of lines) for (const follower of [...followers]) follower(line);
    },
    /** What was written so far can be read no more. */
    rotate() {
      file = [];
    },
    /** Breaks every follow that is under way. */
    drop() {
      followers.clear();
      server.closeAllConnections();
    },
    end() {
      state = 'ended';
      for (const follower of followers) follower(null);
    },
    remove() {
      state = 'gone';
      for (const follower of followers) follower(null);
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export type LogEndpoint = Awaited<ReturnType<typeof startLogEndpoint>>;

function stamped({ time, text, open }: WrittenLine): string {
  const second = new Date(Number(time / 1_000_000n)).toISOString().slice(0, 19);
  return `${second}.${String(time % 1_000_000_000n).padStart(9, '0')}Z ${text}${open ? '' : '\n'}`;
}
