import { CygniError } from '@cygni/core';

/** Cuts a stream into pieces of exactly `size` bytes, the last one excepted. Holds one piece at a time. */
export async function* inChunksOf(
  size: number,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let parts: Uint8Array[] = [];
  let held = 0;
  for await (const bytes of source) {
    let rest = bytes;
    while (held + rest.byteLength >= size) {
      const taken = size - held;
      parts.push(rest.subarray(0, taken));
      yield Buffer.concat(parts);
      parts = [];
      held = 0;
      rest = rest.subarray(taken);
    }
    if (rest.byteLength > 0) {
      parts.push(rest);
      held += rest.byteLength;
    }
  }
  if (held > 0) yield Buffer.concat(parts);
}

/** Passes a caller's stream on, so that what it throws is never taken for the network's failure. */
export async function* fromCaller(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* source;
  } catch (cause) {
    throw new SourceFailure(cause);
  }
}

/** The caller's own stream failed. */
export class SourceFailure extends Error {
  override readonly name = 'SourceFailure';

  constructor(cause: unknown) {
    super('the content cannot be read', { cause });
  }
}

export function wrongContent(digest: string, sizeBytes: number): CygniError {
  return new CygniError('integrity', `the content to push is not ${digest} of ${sizeBytes} bytes`);
}
