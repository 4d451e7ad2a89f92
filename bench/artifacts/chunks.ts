const chunk = Buffer.alloc(64 * 1024, 'cygni');

export async function* chunks(sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let left = sizeBytes; left > 0; left -= chunk.byteLength) {
    // A copy: one chunk again and again would hide that chunks are held.
    yield Buffer.from(chunk.subarray(0, Math.min(left, chunk.byteLength)));
  }
}

/**
 * The same bytes in one buffer, which is emptied as soon as the next chunk is asked for: no garbage that would be taken for
 * the receiver's, and whoever holds on to a chunk stores zeros.
 */
export async function* lentChunks(sizeBytes: number): AsyncGenerator<Uint8Array> {
  const lent = Buffer.allocUnsafeSlow(chunk.byteLength);
  for (let left = sizeBytes; left > 0; left -= chunk.byteLength) {
    chunk.copy(lent);
    yield lent.subarray(0, Math.min(left, chunk.byteLength));
    lent.fill(0);
  }
}
