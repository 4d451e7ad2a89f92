import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { serveBare } from './bare.ts';
import { serveCygni } from './cygni.ts';
import type { Report, Role } from './protocol.ts';

/** The program of the server's process. It is told its role first; whatever it is told then, it says what it has used. */
function report(said: Report): void {
  process.send?.(said);
}

async function listenerOf(role: Role): Promise<{ listener: RequestListener; token: string }> {
  if (role.system === 'cygni') return serveCygni(role);
  return { listener: await serveBare(role.databaseUrl), token: '' };
}

const [role] = (await once(process, 'message')) as [Role];
const { listener, token } = await listenerOf(role);
const server = createServer(listener).listen(0, '127.0.0.1');
await once(server, 'listening');
const address = server.address();
if (typeof address !== 'object' || address === null) throw new Error('not listening');
report({ is: 'ready', port: address.port, token });

process.on('message', () => {
  const { user, system } = process.cpuUsage();
  const residentBytes = process.memoryUsage.rss();
  report({ is: 'used', cpuMs: (user + system) / 1_000, residentBytes });
});
process.on('disconnect', () => process.exit(0));
