import { createHash } from 'node:crypto';
import { abortedError, CygniError } from '../errors.ts';

/** A body on its way into an ArtifactStore. */
export interface IncomingArtifact {
  /** The body's chunks, to be read once. @throws `too_large`, `aborted`, or what the body throws */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** What was read. Only to be asked once every chunk was. */
  measure(): { readonly sizeBytes: number; readonly sha256: string };
}

/** Bounds and hashes a body while it streams. An abort ends it at once, also while the body has nothing to say. */
export function receiveArtifact(
  body: AsyncIterable<Uint8Array>,
  { maximumBytes, signal }: { readonly maximumBytes: number; readonly signal: AbortSignal },
): IncomingArtifact {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  async function* read(): AsyncGenerator<Uint8Array> {
    for await (const chunk of untilAborted(body, signal)) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > maximumBytes) {
        throw new CygniError('too_large', `over ${maximumBytes} bytes`);
      }
      hash.update(chunk);
      yield chunk;
    }
  }
  return {
    chunks: read(),
    measure: () => ({ sizeBytes, sha256: hash.copy().digest('hex') }),
  };
}

async function* untilAborted(
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  aborted.catch(() => {});
  const abort = () => reject(abortedError(signal));
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  const iterator = body[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      const next = iterator.next();
      const result = await Promise.race([aborted, next]);
      if (result.done) {
        ended = true;
        return;
      }
      yield result.value;
    }
  } catch (error) {
    // A body that failed needs no ending; one that hangs is told to end, but not waited for.
    ended = !signal.aborted;
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    if (!ended) iterator.return?.().catch(() => {});
  }
}
