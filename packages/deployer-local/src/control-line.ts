import type { Duplex } from 'node:stream';
import { CygniError } from '@cygni/core';

/** Reads single lines, one at a time, from the other end of a socket. */
export function createLineReader(socket: Duplex): { next(): Promise<string> } {
  let text = '';
  let ended = false;
  let wake = () => {};
  socket.on('data', (chunk: Buffer) => {
    // The other end says a few words; more than that is not ours.
    if (text.length < 4096) text += chunk.toString('latin1');
    wake();
  });
  const end = () => {
    ended = true;
    wake();
  };
  socket.on('error', end);
  socket.on('close', end);
  return {
    async next() {
      for (;;) {
        const at = text.indexOf('\n');
        if (at >= 0) {
          const line = text.slice(0, at);
          text = text.slice(at + 1);
          return line;
        }
        if (ended)
          throw new CygniError('internal', 'the launcher ended early', { retryable: false });
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
