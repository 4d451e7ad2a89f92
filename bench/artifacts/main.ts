import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { createS3ArtifactStore } from '@cygni/artifacts-s3';

/**
 * Uploads 5 GiB (or as many GiB as the first argument says) and reads it again, against a server that forgets what
 * it is sent, in a process of its own: moto would keep it all. Prints how much memory that took and how fast it
 * was beside a bare HTTP PUT and GET of the same size to the same server. Fails above 100 MB.
 */
const bucket = 'bench';
const gibibyte = 1024 ** 3;
const chunk = Buffer.alloc(64 * 1024, 'cygni');
const limitMegabytes = 100;

if (process.argv[2] === 'server') serve();
else await measure(Number(process.argv[2] ?? 5) * gibibyte);

function serve(): void {
  let storedBytes = 0;
  const server = createServer((incoming, outgoing) => {
    const { method, url = '' } = incoming;
    let receivedBytes = 0;
    incoming.on('data', (data: Buffer) => {
      receivedBytes += data.byteLength;
    });
    incoming.on('end', () => {
      if (method === 'PUT') storedBytes += receivedBytes;
      outgoing.setHeader('etag', '"1"');
      if (method === 'POST' && url.includes('uploads')) {
        storedBytes = 0;
        outgoing.end(
          '<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>',
        );
      } else if (method === 'POST') {
        outgoing.end('<CompleteMultipartUploadResult/>');
      } else if (method === 'PUT') {
        outgoing.end();
      } else {
        outgoing.setHeader('content-length', storedBytes);
        if (method === 'HEAD') outgoing.end();
        else pipeline(Readable.from(chunks(storedBytes)), outgoing).catch(() => {});
      }
    });
  });
  server.requestTimeout = 0;
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    if (typeof address === 'object') process.stdout.write(`${address?.port}\n`);
  });
}

async function* chunks(sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let left = sizeBytes; left > 0; left -= chunk.byteLength) {
    yield left >= chunk.byteLength ? chunk : chunk.subarray(0, left);
  }
}

async function measure(sizeBytes: number): Promise<void> {
  const server: ChildProcess = spawn(
    process.execPath,
    ['--conditions=cygni-source', fileURLToPath(import.meta.url), 'server'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  try {
    const [port]: Buffer[] = await once(server.stdout ?? server, 'data');
    const endpoint = `http://127.0.0.1:${String(port).trim()}`;
    const credentials = { accessKeyId: 'bench', secretAccessKey: 'bench' };
    const store = createS3ArtifactStore({ bucket, endpoint, credentials });
    const { error, warn } = console;
    const log = { debug() {}, info() {}, warn, error };
    const call = { signal: new AbortController().signal, log };
    await store.open(call);

    const put = await measured(() =>
      store.put('acme/a', chunks(sizeBytes), { maximumBytes: sizeBytes }, call),
    );
    const get = await measured(async () => {
      let readBytes = 0;
      for await (const data of await store.get('acme/a', call)) readBytes += data.byteLength;
      if (readBytes !== sizeBytes) throw new Error(`read ${readBytes} of ${sizeBytes} bytes`);
    });
    const barePut = await measured(() => putBare(`${endpoint}/bare`, sizeBytes));
    const bareGet = await measured(() => getBare(`${endpoint}/${bucket}/acme/a`));
    await store.close();

    say(`${sizeBytes / gibibyte} GiB in and out again`);
    for (const [name, ours, bare] of [
      ['put', put, barePut],
      ['get', get, bareGet],
    ] as const) {
      const speed = (bare.ms / ours.ms).toFixed(2);
      const memory = ours.megabytes.toFixed(0);
      say(`${name}: ${speed} times the speed of a bare one; ${memory} MB of memory at the most`);
    }
    const most = Math.max(put.megabytes, get.megabytes);
    if (most > limitMegabytes) {
      say(`more than ${limitMegabytes} MB`);
      process.exitCode = 1;
    }
  } finally {
    server.kill('SIGKILL');
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Memory: of the whole process, what it had when it began taken off. */
async function measured(work: () => Promise<unknown>): Promise<{ ms: number; megabytes: number }> {
  const startBytes = process.memoryUsage.rss();
  let peakBytes = startBytes;
  const watch = setInterval(() => {
    peakBytes = Math.max(peakBytes, process.memoryUsage.rss());
  }, 20);
  const start = performance.now();
  await work();
  clearInterval(watch);
  return { ms: performance.now() - start, megabytes: (peakBytes - startBytes) / 1e6 };
}

async function putBare(url: string, sizeBytes: number): Promise<void> {
  const put = request(url, { method: 'PUT', headers: { 'content-length': sizeBytes } });
  const answered = once(put, 'response');
  await pipeline(Readable.from(chunks(sizeBytes)), put);
  const [answer] = await answered;
  answer.resume();
}

async function getBare(url: string): Promise<void> {
  const get = request(url).end();
  const [answer] = await once(get, 'response');
  for await (const _ of answer);
}
