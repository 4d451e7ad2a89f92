import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { chunks } from './chunks.ts';

/** An S3 that forgets what it is sent, over TLS, in a process of its own: moto would keep it all. Says on which port. */
const [key = '', cert = ''] = process.argv.slice(2);
let storedBytes = 0;
const options = {
  key: readFileSync(key),
  cert: readFileSync(cert),
  requestTimeout: 0,
  // A bare request does not repeat what met a connection that was just closed.
  keepAliveTimeout: 0,
};
const server = createServer(options, (incoming, outgoing) => {
  const { method, url = '' } = incoming;
  let receivedBytes = 0;
  let emptied = false;
  incoming.on('data', (data: Buffer) => {
    receivedBytes += data.byteLength;
    emptied ||= method === 'PUT' && data.includes(0);
  });
  incoming.on('end', () => {
    if (method === 'PUT') storedBytes += receivedBytes;
    outgoing.setHeader('etag', '"1"');
    if (method === 'POST' && url.includes('uploads')) {
      storedBytes = 0;
      outgoing.end(
        '<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>',
      );
    } else if (method === 'POST') {
      outgoing.end('<CompleteMultipartUploadResult/>');
    } else if (method === 'PUT') {
      outgoing.writeHead(emptied ? 400 : 200).end();
    } else {
      outgoing.setHeader('content-length', storedBytes);
      if (method === 'HEAD') outgoing.end();
      else pipeline(Readable.from(chunks(storedBytes)), outgoing).catch(() => {});
    }
  });
});
// Ends with whoever started it.
process.stdin.resume().on('end', () => process.exit());
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object') process.stdout.write(`${address?.port}\n`);
});
