import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { CygniError } from '@cygni/core';
import { systemCode } from './map-error.ts';

/** Below the range from which Linux takes ports for outgoing connections, so that none of those is in the way later. */
export const publicPorts = { first: 20_000, last: 24_999 } as const;
export const instancePorts = { first: 25_000, last: 31_999 } as const;

/**
 * A port of the range that nobody listens on, and that is not in `taken`.
 * @throws `unavailable` if there is none
 */
export async function findFreePort(
  range: { readonly first: number; readonly last: number },
  host: string,
  taken: ReadonlySet<number>,
): Promise<number> {
  const count = range.last - range.first + 1;
  const start = randomInt(count);
  for (let step = 0; step < count; step++) {
    const port = range.first + ((start + step) % count);
    if (!taken.has(port) && (await isFree(port, host))) return port;
  }
  throw new CygniError('unavailable', `no free port from ${range.first} to ${range.last}`);
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => {
      const code = systemCode(error);
      if (code === 'EADDRINUSE' || code === 'EACCES') resolve(false);
      else reject(error);
    });
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
