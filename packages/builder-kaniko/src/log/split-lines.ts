/** A line as bytes, without its line feed. `cut`: it was longer than is kept. */
export interface RawLine {
  readonly bytes: Buffer;
  readonly cut: boolean;
}

export interface LineSplitter {
  push(chunk: Uint8Array): Iterable<RawLine>;
  /** What stands after the last line feed; null: nothing. */
  rest(): RawLine | null;
}

/** Splits a stream of bytes into lines, whatever the chunks; keeps at most `maximumBytes` of a line in memory. */
export function createLineSplitter(maximumBytes: number): LineSplitter {
  let held: Buffer[] = [];
  let heldBytes = 0;
  let cut = false;

  function hold(bytes: Buffer): void {
    const room = maximumBytes - heldBytes;
    if (bytes.length > room) cut = true;
    if (room <= 0 || bytes.length === 0) return;
    const kept = bytes.subarray(0, room);
    // A copy: a short slice must not keep its whole chunk alive until the line ends.
    held.push(Buffer.from(kept));
    heldBytes += kept.length;
    if (held.length > 64) held = [Buffer.concat(held)];
  }

  function release(): RawLine {
    const [only] = held;
    const line = { bytes: held.length === 1 && only ? only : Buffer.concat(held), cut };
    held = [];
    heldBytes = 0;
    cut = false;
    return line;
  }

  return {
    *push(chunk) {
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      let start = 0;
      for (;;) {
        const end = bytes.indexOf(0x0a, start);
        if (end < 0) break;
        const line = bytes.subarray(start, end);
        start = end + 1;
        if (heldBytes === 0 && !cut && line.length <= maximumBytes) {
          yield { bytes: line, cut: false };
        } else {
          hold(line);
          yield release();
        }
      }
      hold(bytes.subarray(start));
    },

    rest: () => (heldBytes > 0 || cut ? release() : null),
  };
}
