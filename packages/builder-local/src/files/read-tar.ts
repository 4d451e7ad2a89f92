import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, type Header } from 'tar-stream';
import { throwIfAborted, userError } from '../build-fault.ts';
import { bytesOf } from './bytes-of.ts';

export interface TarLimits {
  /** Of the archive, unpacked. */
  readonly bytes: number;
  readonly entries: number;
  /** From the first byte to the last entry. */
  readonly unpackSeconds: number;
}

/**
 * Hands each entry of a tar stream to `onEntry`, in order, one at a time. A body that is not read is skipped.
 * @throws BuildFault past a limit and for what is not a tar archive
 */
export async function readTar(
  source: AsyncIterable<Uint8Array>,
  limits: TarLimits,
  onEntry: (header: Header, body: AsyncIterable<Uint8Array>) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  let fed = 0;
  const guard = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      fed += chunk.byteLength;
      if (fed > limits.bytes) {
        done(userError(`an archive unpacks to more than ${limits.bytes} bytes`));
      } else done(null, chunk);
    },
  });
  const entries = extract();
  const overdue = AbortSignal.timeout(limits.unpackSeconds * 1000);
  const feeding = pipeline(source, guard, entries, { signal: AbortSignal.any([signal, overdue]) });
  // The loop below sees the same error; this one only must not go unhandled.
  feeding.catch(() => {});
  let count = 0;
  try {
    for await (const entry of entries) {
      count += 1;
      if (count > limits.entries) {
        throw userError(`an archive has more than ${limits.entries} entries`);
      }
      await onEntry(entry.header, bytesOf(entry));
      entry.resume();
    }
    await feeding;
  } catch (error) {
    throwIfAborted(signal);
    if (overdue.aborted) {
      throw userError(`an archive takes longer than ${limits.unpackSeconds} s to unpack`, error);
    }
    throw mapTarError(error);
  }
}

function mapTarError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const isContent =
    code.startsWith('Z_') ||
    code === 'ERR_STREAM_PREMATURE_CLOSE' ||
    code.startsWith('ZSTD_') ||
    /^(?:Invalid tar header|Header exceeds|Unexpected end of data|Writable stream closed)/i.test(
      error.message,
    );
  return isContent ? userError(`not a whole tar archive: ${error.message}`, error) : error;
}
