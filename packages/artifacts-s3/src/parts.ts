export interface PartBuffers {
  take(): Buffer;
  giveBack(buffer: Buffer): void;
}

/** Buffers that are used again, so that an upload's memory does not depend on the garbage collector. */
export function createPartBuffers(partBytes: number): PartBuffers {
  const free: Buffer[] = [];
  return {
    take: () => free.pop() ?? Buffer.allocUnsafeSlow(partBytes),
    giveBack(buffer) {
      free.push(buffer);
    },
  };
}

export interface Part {
  /** To be given back. */
  readonly buffer: Buffer;
  readonly sizeBytes: number;
  readonly last: boolean;
}

/** Cuts a stream into parts of one size; the last may be shorter. At least one, for an empty stream an empty one. */
export async function* partsOf(
  chunks: AsyncIterable<Uint8Array>,
  buffers: PartBuffers,
): AsyncGenerator<Part> {
  let buffer = buffers.take();
  let sizeBytes = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.byteLength; ) {
      // A full part waits for the next byte, without which it is the last.
      if (sizeBytes === buffer.byteLength) {
        yield { buffer, sizeBytes, last: false };
        buffer = buffers.take();
        sizeBytes = 0;
      }
      const fitting = chunk.subarray(at, at + buffer.byteLength - sizeBytes);
      buffer.set(fitting, sizeBytes);
      sizeBytes += fitting.byteLength;
      at += fitting.byteLength;
    }
  }
  yield { buffer, sizeBytes, last: true };
}
