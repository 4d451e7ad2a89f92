import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { listenerOptions } from '../src/listener-options.ts';

interface Listening extends AsyncDisposable {
  readonly port: number;
  /** Requests that reached the program. */
  readonly served: string[];
}

/** The server's own settings, but for the times that a test cannot wait for. */
async function listen(changed: object = {}): Promise<Listening> {
  const served: string[] = [];
  const server = createServer({ ...listenerOptions, ...changed }, (request, response) => {
    served.push(request.url ?? '');
    request.resume().once('end', () => response.end('served'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('not listening');
  return {
    port: address.port,
    served,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** What a server says to `sent` until it closes the connection. */
async function say(port: number, sent: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(sent);
  return untilClosed(socket);
}

async function untilClosed(socket: Socket): Promise<string> {
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  // The server may close while something is still being sent.
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('close', resolve));
  return answer;
}

const impatient = { headersTimeout: 100, requestTimeout: 200, connectionsCheckingInterval: 20 };

describe('a connection', () => {
  it('that sends its headers too slowly is closed with 408', async () => {
    await using server = await listen(impatient);
    expect(await say(server.port, 'GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ')).toMatch(
      /^HTTP\/1.1 408/,
    );
    expect(server.served).toEqual([]);
  });

  it('that trickles is closed all the same', async () => {
    await using server = await listen(impatient);
    const socket = connect(server.port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n');
    const trickle = setInterval(() => socket.write('X-Slow: 1\r\n'), 20);
    const answer = await untilClosed(socket);
    clearInterval(trickle);
    expect(answer).toMatch(/^HTTP\/1.1 408/);
  });

  it('that sends 100 KB of headers is closed with 431', async () => {
    await using server = await listen();
    const headers = Array.from({ length: 1_000 }, (_, at) => `X-${at}: ${'a'.repeat(92)}\r\n`);
    const answer = await say(server.port, `GET / HTTP/1.1\r\nHost: x\r\n${headers.join('')}\r\n`);
    expect(answer).toMatch(/^HTTP\/1.1 431/);
    expect(server.served).toEqual([]);
  });

  it('that sends an Idempotency-Key of a megabyte is closed with 431', async () => {
    await using server = await listen();
    const key = 'k'.repeat(1_000_000);
    const answer = await say(
      server.port,
      `GET / HTTP/1.1\r\nHost: x\r\nIdempotency-Key: ${key}\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 431/);
  });

  it.each([
    ['a length and chunks', 'Content-Length: 6\r\nTransfer-Encoding: chunked'],
    ['chunks and a length', 'Transfer-Encoding: chunked\r\nContent-Length: 6'],
    ['two lengths', 'Content-Length: 6\r\nContent-Length: 5'],
    ['two lengths in one', 'Content-Length: 6, 5'],
    ['chunks in disguise', 'Transfer-Encoding: xchunked'],
    ['a space before the colon', 'Transfer-Encoding : chunked'],
    ['a signed length', 'Content-Length: +6'],
  ])(
    'that smuggles by %s is closed with 400, and what follows is not served',
    async (_what, framing) => {
      await using server = await listen();
      const smuggled = '0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';
      const answer = await say(
        server.port,
        `POST / HTTP/1.1\r\nHost: x\r\n${framing}\r\n\r\n${smuggled}`,
      );
      expect(answer).toMatch(/^HTTP\/1.1 400/);
      expect(server.served).not.toContain('/smuggled');
    },
  );

  it.each([
    ['no host', 'GET / HTTP/1.1\r\n\r\n'],
    ['bare line feeds in a header', 'GET / HTTP/1.1\nHost: x\nX: a\n\n\n'],
    ['a folded header', 'GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n'],
    ['no HTTP', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ])('with %s is closed with 400', async (_what, sent) => {
    await using server = await listen();
    expect(await say(server.port, sent)).toMatch(/^HTTP\/1.1 400/);
    expect(server.served).toEqual([]);
  });
});

describe('the listener', () => {
  it('keeps idle connections longer than load balancers do, which drop them after a minute', () => {
    expect(listenerOptions.keepAliveTimeout).toBeGreaterThan(60_000);
  });
});
