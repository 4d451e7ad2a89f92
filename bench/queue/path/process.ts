import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { runCygni } from './cygni.ts';
import { runLoop } from './hand-written-loop.ts';
import type { Report, Role } from './protocol.ts';

/** One process of the whole path. Its parent says what it does, asks what it used, and ends it. */
const report = (said: Report) => void process.send?.(said);

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  // The other system has its turn in between.
  server.keepAliveTimeout = 600_000;
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('not a TCP address');
  return address.port;
}

const [role]: Role[] = await once(process, 'message');
if (!role) throw new Error('no role');
const listener = await (role.system === 'cygni' ? runCygni : runLoop)(role, report);
report({ is: 'ready', port: listener ? await serve(listener) : null });
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  report({ is: 'used', cpuMs: (user + system) / 1000 });
});
process.on('disconnect', () => process.exit(0));
