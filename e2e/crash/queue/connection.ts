import { createConnection, type Socket } from 'node:net';
import { abortedError, CygniError } from '@cygni/core';
import { splitLines } from '../messages.ts';
import { answerSchema, type HubAnswer, type HubRequest } from './protocol.ts';

type WithoutId<Request> = Request extends unknown ? Omit<Request, 'id'> : never;

export interface HubConnection {
  /** @throws `unavailable` when the hub is away, or goes away before it has answered */
  ask(request: WithoutId<HubRequest>, signal: AbortSignal): Promise<HubAnswer>;
  close(): void;
}

/** Connects when it is first asked for something, and again after the hub was away. */
export function connectToHub(path: string): HubConnection {
  let socket: Socket | undefined;
  let lastId = 0;
  const pending = new Map<number, PromiseWithResolvers<HubAnswer>>();

  function connect(): Socket {
    const fresh = createConnection(path);
    fresh.setEncoding('utf8');
    fresh.on('error', () => fresh.destroy());
    fresh.on('close', () => {
      if (socket === fresh) socket = undefined;
      const error = new CygniError('unavailable', 'the queue is away');
      for (const { reject } of pending.values()) reject(error);
      pending.clear();
    });
    fresh.on(
      'data',
      splitLines((line) => {
        const answer = answerSchema.parse(JSON.parse(line));
        pending.get(answer.id)?.resolve(answer);
        pending.delete(answer.id);
      }),
    );
    return fresh;
  }

  return {
    async ask(request, signal) {
      if (signal.aborted) throw abortedError(signal);
      socket ??= connect();
      lastId += 1;
      const id = lastId;
      const answered = Promise.withResolvers<HubAnswer>();
      pending.set(id, answered);
      const onAbort = () => answered.reject(abortedError(signal));
      signal.addEventListener('abort', onAbort, { once: true });
      socket.write(`${JSON.stringify({ ...request, id })}\n`);
      try {
        return await answered.promise;
      } finally {
        pending.delete(id);
        signal.removeEventListener('abort', onAbort);
      }
    },
    close() {
      socket?.destroy();
    },
  };
}
