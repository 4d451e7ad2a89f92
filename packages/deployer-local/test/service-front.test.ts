import { once } from 'node:events';
import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findFreePort } from '../src/free-port.ts';
import { createServiceFront, type ServiceFront } from '../src/service-front.ts';
import { eventually } from './fixtures/eventually.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

describe('the proxy of a service', () => {
  let front: ServiceFront;
  let url: string;
  const servers: Server[] = [];
  beforeEach(async () => {
    const port = await findFreePort({ first: 15_000, last: 19_000 }, '127.0.0.1', new Set());
    front = createServiceFront('127.0.0.1', port);
    await front.listen();
    url = `http://127.0.0.1:${port}`;
  });
  afterEach(async () => {
    await front.close();
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  async function instance(handler: Handler): Promise<number> {
    const server = createServer(handler).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }
  async function routeTo(handler: Handler): Promise<number> {
    const port = await instance(handler);
    front.route([{ revision: 1, percent: 100 }], () => port);
    return port;
  }
  /** Sends bytes as they are and reads until the connection ends. */
  async function raw(text: string): Promise<string> {
    const socket = connect(front.port, '127.0.0.1');
    socket.write(text);
    let answer = '';
    for await (const chunk of socket.setEncoding('latin1')) answer += chunk;
    return answer;
  }

  it('answers 503 before anything is routed, and 502 where the instance does not answer', async () => {
    const early = await fetch(url);
    expect([early.status, await early.text()]).toEqual([503, expect.stringContaining('nothing')]);
    front.route([{ revision: 1, percent: 100 }], () => 1);
    const dead = await fetch(url);
    expect([dead.status, await dead.text()]).toEqual([502, expect.stringContaining('Bad gateway')]);
    const posted = await fetch(url, { method: 'POST', body: 'x'.repeat(1_000_000) });
    expect(posted.status).toBe(502);
  });

  it('passes method, path, query, headers and bodies as they are', async () => {
    await routeTo(async (incoming, response) => {
      let body = '';
      for await (const chunk of incoming) body += chunk;
      response.writeHead(201, 'Made', [
        ...['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'X-Case-Kept', 'yes'],
      ]);
      response.end(JSON.stringify({ method: incoming.method, url: incoming.url, body }));
    });
    const response = await fetch(`${url}/a%2Fb/../c?d=%20`, { method: 'PUT', body: 'content' });
    expect(response.status).toBe(201);
    expect(response.statusText).toBe('Made');
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect(await response.json()).toEqual({ method: 'PUT', url: '/c?d=%20', body: 'content' });
    const answer = await raw('POST /no-body HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect(answer).toContain('"url":"/no-body","body":""');
    expect(answer).toContain('X-Case-Kept: yes');
  });

  it('passes no header that is about one connection, and none that lies about the origin', async () => {
    await routeTo((incoming, response) => {
      response.writeHead(200, { connection: 'x-private', 'x-private': '1', 'x-public': '1' });
      response.end(JSON.stringify(incoming.headers));
    });
    const answer = await raw(
      [
        'GET / HTTP/1.1',
        'Host: shop.example',
        'Connection: close, X-Secret, Host',
        'X-Secret: 1',
        'Keep-Alive: timeout=5',
        'TE: trailers',
        'Proxy-Authorization: Basic eA==',
        'X-Forwarded-For: 8.8.8.8',
        'X-Forwarded-Proto: https',
        'Forwarded: for=8.8.8.8',
        'X-Real-IP: 8.8.8.8',
        'X-Kept: 1',
        '\r\n',
      ].join('\r\n'),
    );
    const [head = '', body = ''] = answer.split('\r\n\r\n');
    const seen = JSON.parse(body.slice(body.indexOf('{'), body.lastIndexOf('}') + 1));
    expect(seen).toEqual({
      host: 'shop.example',
      'x-kept': '1',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'shop.example',
    });
    expect(head.toLowerCase()).toContain('x-public');
    expect(head.toLowerCase()).not.toContain('x-private');
  });

  it('streams both ways before either end is reached', async () => {
    await routeTo((incoming, response) => {
      response.writeHead(200);
      incoming.pipe(response);
    });
    const outgoing = request(url, { method: 'POST' });
    const answered = once(outgoing, 'response');
    outgoing.write('first');
    const [response] = (await answered) as [IncomingMessage];
    const [first] = await once(response, 'data');
    expect(String(first)).toBe('first');
    outgoing.end('second');
    const [second] = await once(response, 'data');
    expect(String(second)).toBe('second');
  });

  it('ends the request to the instance when the client goes away', async () => {
    let gone = false;
    await routeTo((_incoming, response) => {
      response.writeHead(200);
      response.write('begin');
      response.on('close', () => {
        gone = true;
      });
    });
    const outgoing = request(url).end();
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    await once(response, 'data');
    outgoing.destroy();
    await eventually('the instance sees it', () => gone);
    expect(await front.drain(1, 5_000, AbortSignal.timeout(6_000))).toBe(true);
  });

  it('lets the client see that an answer was cut off', async () => {
    await routeTo((_incoming, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('part', () => response.destroy());
    });
    const response = await fetch(url);
    await expect(response.text()).rejects.toThrow();
  });

  it('passes an answer that comes before the request was read', async () => {
    await routeTo((incoming, response) => {
      response.writeHead(413, { connection: 'close' });
      response.end('too much', () => incoming.socket.destroySoon());
    });
    const outgoing = request(url, { method: 'POST' });
    outgoing.on('error', () => {});
    const answered = once(outgoing, 'response');
    outgoing.write('x'.repeat(100_000));
    const [response] = (await answered) as [IncomingMessage];
    let body = '';
    for await (const chunk of response) body += chunk;
    expect([response.statusCode, body]).toEqual([413, 'too much']);
    outgoing.destroy();
  });

  it('uses connections again, and survives that the instance closes them', async () => {
    const sockets = new Set<Socket>();
    let answers = 0;
    const port = await instance((incoming, response) => {
      sockets.add(incoming.socket);
      answers += 1;
      response.end('ok');
    });
    front.route([{ revision: 1, percent: 100 }], () => port);
    const agent = new Agent({ keepAlive: true });
    const get = async () => {
      const [response] = (await once(request(url, { agent }).end(), 'response')) as [
        IncomingMessage,
      ];
      response.resume();
      await once(response, 'end');
      return response.statusCode;
    };
    for (let count = 0; count < 5; count++) expect(await get()).toBe(200);
    expect(sockets.size).toBe(1);
    for (const socket of sockets) socket.resetAndDestroy();
    expect(await get()).toBe(200);
    expect(answers).toBe(6);
    agent.destroy();
  });

  it('passes upgrades, with what was sent before and after', async () => {
    const port = await instance(() => {});
    servers.at(-1)?.on('upgrade', (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${incoming.headers.upgrade}\r\nX-For: ${incoming.headers['x-forwarded-for']}\r\n\r\nwelcome `,
      );
      socket.write(head);
      socket.on('data', (chunk) => {
        socket.write(chunk);
        if (String(chunk).endsWith('bye')) socket.end();
      });
    });
    front.route([{ revision: 1, percent: 100 }], () => port);
    const socket = connect(front.port, '127.0.0.1');
    socket.write(
      'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly ',
    );
    let answer = '';
    socket.setEncoding('latin1').on('data', (chunk) => {
      answer += chunk;
    });
    await eventually('the switch', () => answer.includes('welcome early '));
    socket.write('bye');
    await once(socket, 'close');
    expect(answer).toMatch(/^HTTP\/1.1 101 Switching Protocols\r\n/);
    expect(answer).toContain('X-For: 127.0.0.1');
    expect(answer).toMatch(/welcome early bye$/);
  });

  it('passes on that an upgrade was refused, or that nobody was there', async () => {
    const refused = createTcpServer((socket) => {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
    }).listen(0, '127.0.0.1');
    await once(refused, 'listening');
    const { port } = refused.address() as AddressInfo;
    const upgrade = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';
    expect(await raw(upgrade)).toMatch(/^HTTP\/1.1 503 /);
    front.route([{ revision: 1, percent: 100 }], () => port);
    expect(await raw(upgrade)).toMatch(/^HTTP\/1.1 403 Forbidden\r\n(.+\r\n)*\r\nno$/);
    refused.close();
    front.route([{ revision: 1, percent: 100 }], () => 1);
    expect(await raw(upgrade)).toMatch(/^HTTP\/1.1 502 /);
  });

  it.each([
    ['no HTTP', 'hello\r\n\r\n'],
    ['a status of 0', 'HTTP/1.1 000 Zero\r\nContent-Length: 0\r\n\r\n'],
    ['a status of 42', 'HTTP/1.1 042 Odd\r\nContent-Length: 0\r\n\r\n'],
    ['a status text that cannot be sent', 'HTTP/1.1 200 \x01\x02\r\nContent-Length: 0\r\n\r\n'],
    ['a header that cannot be sent', 'HTTP/1.1 200 OK\r\nX: \x01\r\nContent-Length: 0\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n'],
    [
      'length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    [
      'an upgrade that nobody asked for',
      'HTTP/1.1 101 Sure\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n',
    ],
    ['endless headers', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(200_000)}\r\n\r\n`],
    ['nothing', ''],
  ])('answers 502 where an instance says %s, also to an upgrade', async (_what, answer) => {
    const hostile = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(answer, 'latin1'));
    }).listen(0, '127.0.0.1');
    await once(hostile, 'listening');
    const { port } = hostile.address() as AddressInfo;
    front.route([{ revision: 1, percent: 100 }], () => port);
    expect((await fetch(url)).status).toBe(502);
    const upgraded = await raw(
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
    );
    expect(upgraded).toMatch(/^HTTP\/1.1 \d+ /);
    hostile.close();
    expect((await fetch(url)).status).toBe(502);
  });

  it('loses no request while it switches back and forth', async () => {
    const ports = await Promise.all(
      ['one', 'two'].map((name) =>
        instance(async (_incoming, response) => {
          await sleep(5);
          response.end(name);
        }),
      ),
    );
    const portOf = (revision: number) => ports[revision - 1] ?? 0;
    front.route([{ revision: 1, percent: 100 }], portOf);
    let running = true;
    const seen = new Set<string>();
    const clients = Array.from({ length: 8 }, async () => {
      while (running) {
        const response = await fetch(url);
        expect(response.status).toBe(200);
        seen.add(await response.text());
      }
    });
    for (let count = 0; count < 20; count++) {
      await sleep(15);
      front.route([{ revision: (count % 2) + 1, percent: 100 }], portOf);
    }
    running = false;
    await Promise.all(clients);
    expect(seen).toEqual(new Set(['one', 'two']));
  });

  it('closes with requests and upgrades under way', async () => {
    await routeTo((_incoming, response) => {
      response.write('begin');
    });
    const response = await fetch(url);
    const start = performance.now();
    await front.close();
    expect(performance.now() - start).toBeLessThan(1_000);
    await expect(response.text()).rejects.toThrow();
  });

  it('says so when somebody else has the port', async () => {
    const second = createServiceFront('127.0.0.1', front.port);
    await expect(second.listen()).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    await front.close();
    await second.listen();
    await second.close();
  });
});
