import { createServer } from 'node:http';
import { createRegistryServer } from '@cygni/registry-oci';

/** A process of its own, so that its memory is its own: serves the directory it is given and says on which port. */
const server = createRegistryServer({ directory: process.argv[2] ?? '' });
await server.open();
const http = createServer({ requestTimeout: 0 }, server.handle);
http.listen(0, '127.0.0.1', () => {
  const address = http.address();
  process.stdout.write(
    `listening on 127.0.0.1:${typeof address === 'object' ? address?.port : ''}\n`,
  );
});
