import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobUpload, Call, RepositoryLocation } from '@cygni/core';
import { createImageClient, type OciImageClient } from '@cygni/registry-oci';
import type { BenchImage } from './image.ts';
import type { Serve } from './servers.ts';

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

/** Pushes the image to a new server over a new directory and pulls it again, every byte verified. */
export async function round(serve: Serve, image: BenchImage, parent: string): Promise<Round> {
  const directory = await mkdtemp(join(parent, 'server-'));
  const signal = AbortSignal.timeout(withinMs);
  const call: Call = { signal, log: { debug() {}, info() {}, warn() {}, error() {} } };
  await using client = createImageClient();
  try {
    await using server = await serve(directory);
    const location = { host: server.host, insecure: true, repository: 'bench/image' };
    const before = await server.memory();
    const started = await server.cpuSeconds();
    const pushSeconds = await seconds(() => push(client, location, image, call));
    const pushed = await server.cpuSeconds();
    const pullSeconds = await seconds(() => pull(client, location, image, call));
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
  client: OciImageClient,
  location: RepositoryLocation,
  { blobs, manifest }: BenchImage,
  call: Call,
): Promise<void> {
  await eachOf(blobs, (blob) => client.putBlob(location, blob, call));
  await client.putManifest(location, 'latest', manifest, call);
}

async function pull(
  client: OciImageClient,
  location: RepositoryLocation,
  { blobs }: BenchImage,
  call: Call,
): Promise<void> {
  await client.getManifest(location, 'latest', call);
  await eachOf(blobs, async ({ digest, sizeBytes }) => {
    let received = 0;
    for await (const chunk of await client.getBlob(location, digest, call)) {
      received += chunk.byteLength;
    }
    if (received !== sizeBytes) throw new Error(`${digest} came back with ${received} bytes`);
  });
}

async function eachOf(
  blobs: readonly BlobUpload[],
  work: (blob: BlobUpload) => Promise<void>,
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
