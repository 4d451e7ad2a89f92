import { createHash } from 'node:crypto';
import {
  createS3ArtifactStore,
  type S3ArtifactStore,
  type S3ArtifactStoreOptions,
} from '@cygni/artifacts-s3';
import type { Call } from '@cygni/core';
import { credentials } from './moto.ts';

/** A call that gives up after twenty seconds, so that a test that waits for ever fails by name. */
export function testCall(signal?: AbortSignal): Call {
  const patience = AbortSignal.timeout(20_000);
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  return { signal: signal ? AbortSignal.any([signal, patience]) : patience, log };
}

/** Short, but not so short that a busy machine exceeds them. */
export const impatient = { connectMs: 3_000, requestMs: 3_000, idleMs: 3_000 };

/** In the bucket `artifacts`, with short pauses between tries. */
export function storeAt(options: Partial<S3ArtifactStoreOptions> = {}): S3ArtifactStore {
  return createS3ArtifactStore({
    bucket: 'artifacts',
    credentials,
    retry: { retries: 3, firstDelayMs: 1, longestDelayMs: 10 },
    ...options,
  });
}

export const roomy = { maximumBytes: 1_000_000_000 };

export async function* streamOf(...parts: readonly (string | Uint8Array)[]) {
  for (const part of parts) yield typeof part === 'string' ? Buffer.from(part) : part;
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export async function read(store: S3ArtifactStore, key: string): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(await store.get(key, testCall())));
}
