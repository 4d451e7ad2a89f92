import { type IncomingMessage, request as openRequest, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Backend } from './backend.ts';
import { endToEndHeaders, requestHeaders } from './forward-headers.ts';

const answerTimeoutMs = 30_000;

/** Passes an upgrade (a WebSocket, for one) to an instance; from then on bytes flow both ways until one side ends. */
export function forwardUpgrade(
  backend: Backend,
  incoming: IncomingMessage,
  client: Duplex,
  head: Buffer,
): void {
  const leave = backend.enter();
  client.once('close', leave);
  client.on('error', () => client.destroy());
  const upstream = openRequest({
    host: '127.0.0.1',
    port: backend.port,
    agent: false,
    method: incoming.method ?? 'GET',
    path: incoming.url ?? '/',
    headers: [
      ...requestHeaders(incoming),
      ...['Connection', 'Upgrade', 'Upgrade', incoming.headers.upgrade ?? ''],
    ],
    setDefaultHeaders: false,
  });
  const timer = setTimeout(() => upstream.destroy(new Error('no answer')), answerTimeoutMs);
  const abandon = () => upstream.destroy();
  client.once('close', abandon);

  upstream.once('upgrade', (answer, server, serverHead) => {
    clearTimeout(timer);
    server.on('error', () => server.destroy());
    // Only once what came from there has been sent on.
    server.once('close', () => client.end(() => client.destroy()));
    client.once('close', () => server.destroy());
    client.write(
      statusLine(answer) +
        headerLines([
          ...endToEndHeaders(answer),
          ...['Connection', 'Upgrade', 'Upgrade', answer.headers.upgrade ?? ''],
        ]),
      'latin1',
    );
    if (serverHead.length > 0) client.write(serverHead);
    if (head.length > 0) server.write(head);
    server.pipe(client);
    client.pipe(server);
  });
  upstream.once('response', (answer) => {
    clearTimeout(timer);
    // Refused: the answer goes back as it is, and its end is the connection's.
    client.write(
      statusLine(answer) + headerLines([...endToEndHeaders(answer), 'Connection', 'close']),
      'latin1',
    );
    answer.pipe(client);
    answer.on('error', () => client.destroy());
  });
  upstream.on('error', () => {
    clearTimeout(timer);
    if (client.writable)
      client.end('HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  });
  upstream.end();
}

function statusLine(answer: IncomingMessage): string {
  const status = answer.statusCode ?? 502;
  return `HTTP/1.1 ${status} ${answer.statusMessage || STATUS_CODES[status] || ''}\r\n`;
}

function headerLines(headers: readonly string[]): string {
  let text = '';
  for (let index = 0; index + 1 < headers.length; index += 2) {
    text += `${headers[index]}: ${headers[index + 1]}\r\n`;
  }
  return `${text}\r\n`;
}
