const chunk = Buffer.alloc(64 * 1024, 'cygni');

export async function* chunks(sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let left = sizeBytes; left > 0; left -= chunk.byteLength) {
    // A copy: one chunk again and again would hide that chunks are held.
    yield Buffer.from(chunk.subarray(0, Math.min(left, chunk.byteLength)));
  }
}
