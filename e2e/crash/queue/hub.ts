import { rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import type { Message, MessageKind } from '@cygni/core';
import type { Faults } from '../child/faults.ts';
import { splitLines } from '../messages.ts';
import type { Random } from '../random.ts';
import { type HubAnswer, type HubRequest, requestSchema } from './protocol.ts';

/** Of the messages, how many are delivered twice. */
const twice = 0.03;

interface Taker {
  readonly socket: Socket;
  readonly id: number;
}

/**
 * The queue that all processes share. It keeps everything in memory, hands a message to whoever asked first and
 * forgets it; some messages it hands out twice. Killing it wipes it.
 */
export async function serveHub(path: string, faults: Faults, random: Random): Promise<Server> {
  const waiting: Record<MessageKind, Message[]> = { build: [], deployment: [] };
  const takers: Record<MessageKind, Taker[]> = { build: [], deployment: [] };

  function deliver(kind: MessageKind): void {
    while (waiting[kind].length > 0) {
      const taker = takers[kind].shift();
      if (!taker) return;
      if (taker.socket.destroyed) continue;
      const message = waiting[kind].shift();
      if (message) answer(taker.socket, { id: taker.id, message });
    }
  }

  function serve(socket: Socket, request: HubRequest): void {
    const { id } = request;
    switch (request.do) {
      case 'enqueue':
        faults.reach('queue: asked, not enqueued');
        for (const message of request.messages) {
          waiting[message.kind].push(message);
          if (random.chance(twice)) waiting[message.kind].push(message);
        }
        faults.reach('queue: enqueued, not acknowledged');
        answer(socket, { id });
        deliver('build');
        deliver('deployment');
        break;
      case 'take':
        takers[request.kind].push({ socket, id });
        deliver(request.kind);
        break;
      case 'count': {
        const { build, deployment } = waiting;
        const depth = { build: build.length, deployment: deployment.length };
        answer(socket, { id, depth });
      }
    }
  }

  await rm(path, { force: true });
  const server = createServer((socket) => {
    socket.setEncoding('utf8');
    socket.on('error', () => socket.destroy());
    socket.on(
      'data',
      splitLines((line) => serve(socket, requestSchema.parse(JSON.parse(line)))),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return server;
}

function answer(socket: Socket, body: HubAnswer): void {
  if (!socket.destroyed) socket.write(`${JSON.stringify(body)}\n`);
}
