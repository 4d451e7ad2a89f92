import { createHash } from 'node:crypto';
import type { ArtifactStore } from '../contracts/artifact-store.ts';
import type { Call } from '../contracts/call.ts';

/** An artifact store to test, empty. */
export interface ArtifactStoreUnderTest {
  readonly store: ArtifactStore;
  /** After the test. The store may be closed already. */
  dispose(): Promise<void>;
}

export const live: Call = {
  signal: new AbortController().signal,
  log: { debug() {}, info() {}, warn() {}, error() {} },
};
export const roomy = { maximumBytes: 1_000_000_000 };

export async function* streamOf(...parts: readonly (string | Uint8Array)[]) {
  for (const part of parts) yield typeof part === 'string' ? Buffer.from(part) : part;
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export async function read(store: ArtifactStore, key: string): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(await store.get(key, live)));
}

export async function keys(store: ArtifactStore, prefix = ''): Promise<readonly string[]> {
  const found = await Array.fromAsync(store.list(prefix, live));
  return found.map(({ key }) => key).sort();
}
