import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchBlob, BenchImage } from './image.ts';
import type { Serve } from './servers.ts';
import { download, send, upload } from './transfer.ts';

export interface Round {
  readonly pushSeconds: number;
  readonly pullSeconds: number;
  readonly pushCpuSeconds: number;
  readonly pullCpuSeconds: number;
  /** Of the server, mebibytes: its peak less what it had before the first request. */
  readonly memoryGrowth: number;
  /** Of the server, mebibytes: resident at most. */
  readonly memoryPeak: number;
}

/** As many layers at once as docker and skopeo move. */
const parallel = 3;
const withinMs = 600_000;

/** Pushes the image to a new server over a new directory and pulls it again. */
export async function round(serve: Serve, image: BenchImage, parent: string): Promise<Round> {
  const directory = await mkdtemp(join(parent, 'server-'));
  const signal = AbortSignal.timeout(withinMs);
  try {
    await using server = await serve(directory);
    const repository = `http://${server.host}/v2/bench/image`;
    const before = await server.memory();
    const started = await server.cpuSeconds();
    const pushSeconds = await seconds(() => push(repository, image, signal));
    const pushed = await server.cpuSeconds();
    const pullSeconds = await seconds(() => pull(repository, image, signal));
    const pulled = await server.cpuSeconds();
    const after = await server.memory();
    return {
      pushSeconds,
      pullSeconds,
      pushCpuSeconds: pushed - started,
      pullCpuSeconds: pulled - pushed,
      memoryGrowth: after.peak - before.now,
      memoryPeak: after.peak,
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function push(
  repository: string,
  { blobs, manifest }: BenchImage,
  signal: AbortSignal,
): Promise<void> {
  await eachOf(blobs, (blob) => pushBlob(repository, blob, signal));
  await send(`${repository}/manifests/latest`, signal, {
    method: 'PUT',
    headers: { 'content-type': manifest.mediaType },
    body: new Uint8Array(manifest.bytes),
  });
}

async function pull(
  repository: string,
  { blobs, manifest }: BenchImage,
  signal: AbortSignal,
): Promise<void> {
  await send(`${repository}/manifests/latest`, signal, { headers: { accept: manifest.mediaType } });
  await eachOf(blobs, ({ digest, sizeBytes }) =>
    download(`${repository}/blobs/${digest}`, sizeBytes, signal),
  );
}

/** As kaniko and docker do it: a session, all the bytes in one PATCH, and a PUT that names the digest. */
async function pushBlob(
  repository: string,
  { file, digest }: BenchBlob,
  signal: AbortSignal,
): Promise<void> {
  const session = await send(`${repository}/blobs/uploads/`, signal, { method: 'POST' });
  const end = new URL(await upload(session, file, signal), session);
  end.searchParams.set('digest', digest);
  await send(end.href, signal, { method: 'PUT' });
}

async function eachOf(
  blobs: readonly BenchBlob[],
  work: (blob: BenchBlob) => Promise<void>,
): Promise<void> {
  const pending = blobs.values();
  const worker = async () => {
    for (const blob of pending) await work(blob);
  };
  await Promise.all(Array.from({ length: parallel }, worker));
}

async function seconds(task: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await task();
  return (performance.now() - started) / 1000;
}
