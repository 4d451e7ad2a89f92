import { parseArtifactKey, parseArtifactPrefix } from '../artifact/artifact-key.ts';
import { receiveArtifact } from '../artifact/receive-artifact.ts';
import type { ArtifactStore } from '../contracts/artifact-store.ts';
import { type Call, SPEC_VERSION } from '../contracts/call.ts';
import { abortedError, CygniError } from '../errors.ts';

/** Artifacts in this process's memory: for tests and for trying things out. */
export function createMemoryArtifactStore(): ArtifactStore {
  const artifacts = new Map<string, Uint8Array>();
  let closed = false;

  function assertLive({ signal }: Call): void {
    if (closed) throw new CygniError('closed', 'the artifact store is closed');
    if (signal.aborted) throw abortedError(signal);
  }

  async function unsupported(_key: string, _options: unknown, call: Call): Promise<never> {
    assertLive(call);
    throw new CygniError('unsupported', 'memory artifacts have no address');
  }

  return {
    specVersion: SPEC_VERSION,
    name: 'memory',
    supports: { presign: false, ifAbsent: true },
    async open(call) {
      assertLive(call);
    },
    async close() {
      closed = true;
    },
    async put(key, body, { maximumBytes, ifAbsent = false }, call) {
      assertLive(call);
      const path = parseArtifactKey(key);
      const incoming = receiveArtifact(body, { maximumBytes, signal: call.signal });
      const bytes = Buffer.concat(await Array.fromAsync(incoming.chunks));
      if (ifAbsent && artifacts.has(path)) {
        throw new CygniError('conflict', `artifact ${key} is there already`);
      }
      artifacts.set(path, bytes);
      return { key, ...incoming.measure() };
    },
    async get(key, call) {
      assertLive(call);
      const found = artifacts.get(parseArtifactKey(key));
      if (!found) throw new CygniError('not_found', `no artifact ${key}`);
      return (async function* () {
        yield found;
      })();
    },
    async delete(key, call) {
      assertLive(call);
      artifacts.delete(parseArtifactKey(key));
    },
    async *list(prefix, call) {
      const start = parseArtifactPrefix(prefix);
      assertLive(call);
      for (const [key, bytes] of artifacts) {
        if (!key.startsWith(start)) continue;
        yield { key, sizeBytes: bytes.byteLength };
        assertLive(call);
      }
    },
    presignGet: unsupported,
    presignPut: unsupported,
  };
}
