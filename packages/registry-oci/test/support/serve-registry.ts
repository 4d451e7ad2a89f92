import { createServer } from 'node:http';
import { createRegistryServer } from '../../src/index.ts';

/** A process of its own, to be killed: serves the directory it is given and says on which port. */
const server = createRegistryServer({ directory: process.argv[2] ?? '' });
const http = createServer({ requestTimeout: 0 }, server.handle);
http.listen(0, '127.0.0.1', () => {
  const address = http.address();
  process.stdout.write(`${typeof address === 'object' ? address?.port : ''}\n`);
});
