import { parseArtifactKey, parseArtifactPrefix } from '../artifact/artifact-key.ts';
import { receiveArtifact } from '../artifact/receive-artifact.ts';
import type { ArtifactStore } from '../contracts/artifact-store.ts';
import { SPEC_VERSION } from '../contracts/call.ts';
import { abortedError, CygniError } from '../errors.ts';

/** Artifacts in this process's memory: for tests and for trying things out. */
export function createMemoryArtifactStore(): ArtifactStore {
  const artifacts = new Map<string, Uint8Array>();
  return {
    specVersion: SPEC_VERSION,
    name: 'memory',
    supports: { presign: false },
    async open() {},
    async close() {},
    async put(key, body, { maximumBytes }, { signal }) {
      const path = parseArtifactKey(key);
      const incoming = receiveArtifact(body, { maximumBytes, signal });
      const bytes = Buffer.concat(await Array.fromAsync(incoming.chunks));
      artifacts.set(path, bytes);
      return { key, ...incoming.measure() };
    },
    async get(key, { signal }) {
      if (signal.aborted) throw abortedError(signal);
      const found = artifacts.get(parseArtifactKey(key));
      if (!found) throw new CygniError('not_found', `no artifact ${key}`);
      return (async function* () {
        yield found;
      })();
    },
    async delete(key, { signal }) {
      if (signal.aborted) throw abortedError(signal);
      artifacts.delete(parseArtifactKey(key));
    },
    async *list(prefix, { signal }) {
      const start = parseArtifactPrefix(prefix);
      for (const [key, bytes] of artifacts) {
        if (signal.aborted) throw abortedError(signal);
        if (key.startsWith(start)) yield { key, sizeBytes: bytes.byteLength };
      }
    },
    async presignGet() {
      throw new CygniError('unsupported', 'memory artifacts have no address');
    },
    async presignPut() {
      throw new CygniError('unsupported', 'memory artifacts have no address');
    },
  };
}
