import { createHash } from 'node:crypto';
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
      const hash = createHash('sha256');
      const chunks: Uint8Array[] = [];
      let sizeBytes = 0;
      for await (const chunk of body) {
        if (signal.aborted) throw abortedError(signal);
        sizeBytes += chunk.byteLength;
        if (sizeBytes > maximumBytes) {
          throw new CygniError('too_large', `over ${maximumBytes} bytes`);
        }
        hash.update(chunk);
        chunks.push(chunk);
      }
      artifacts.set(key, Buffer.concat(chunks));
      return { key, sizeBytes, sha256: hash.digest('hex') };
    },
    async get(key) {
      const found = artifacts.get(key);
      if (!found) throw new CygniError('not_found', `no artifact ${key}`);
      return (async function* () {
        yield found;
      })();
    },
    async delete(key) {
      artifacts.delete(key);
    },
    async *list(prefix) {
      for (const [key, bytes] of artifacts) {
        if (key.startsWith(prefix)) yield { key, sizeBytes: bytes.byteLength };
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
