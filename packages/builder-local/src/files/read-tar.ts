import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, type Header } from 'tar-stream';
import { throwIfAborted, userError } from '../build-fault.ts';
import { bytesOf } from './bytes-of.ts';

/** More than this between two entries can only be a header meant to fill the memory. */
const maximumHeaderBytes = 4 * 1024 ** 2;

export interface TarLimits {
  /** Of the archive, unpacked. */
  readonly bytes: number;
  readonly entries: number;
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
  let progressAt = 0;
  const guard = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      fed += chunk.byteLength;
      if (fed > limits.bytes)
        done(userError(`an archive unpacks to more than ${limits.bytes} bytes`));
      else if (fed - progressAt > maximumHeaderBytes)
        done(userError('an archive has a header that is too large'));
      else done(null, chunk);
    },
  });
  const entries = extract();
  const feeding = pipeline(source, guard, entries, { signal });
  // The loop below sees the same error; this one only must not go unhandled.
  feeding.catch(() => {});
  let count = 0;
  try {
    for await (const entry of entries) {
      progressAt = fed;
      count += 1;
      if (count > limits.entries)
        throw userError(`an archive has more than ${limits.entries} entries`);
      await onEntry(entry.header, progress(entry));
      for await (const _chunk of entry) progressAt = fed;
      progressAt = fed;
    }
    await feeding;
  } catch (error) {
    throwIfAborted(signal);
    throw mapTarError(error);
  }

  async function* progress(body: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
    for await (const chunk of bytesOf(body)) {
      progressAt = fed;
      yield chunk;
    }
  }
}

function mapTarError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const isContent =
    code.startsWith('Z_') ||
    code === 'ERR_STREAM_PREMATURE_CLOSE' ||
    code.startsWith('ZSTD_') ||
    /^(?:Invalid tar header|Unexpected end of data|Writable stream closed)/i.test(error.message);
  return isContent ? userError(`not a whole tar archive: ${error.message}`, error) : error;
}
