import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Call,
  type MessageHandler,
  type MessageKind,
  type Queue,
  SPEC_VERSION,
} from '@cygni/core';
import { connectToHub } from './connection.ts';

const enqueueTimeoutMs = 1_000;
const reconnectPauseMs = 100;

/** The queue of the harness, for several processes: disposable, and lossy by design. */
export function createHubQueue(path: string): Queue {
  const connection = connectToHub(path);

  async function consumeOne(kind: MessageKind, handler: MessageHandler, call: Call): Promise<void> {
    while (!call.signal.aborted) {
      const answer = await connection.ask({ do: 'take', kind }, call.signal).catch(() => null);
      if (!answer?.message) {
        await sleep(reconnectPauseMs, undefined, { signal: call.signal }).catch(() => {});
        continue;
      }
      try {
        await handler({ message: answer.message, deliveries: 1, waitedSeconds: 0 }, call);
      } catch (err) {
        call.log.error({ err, kind, id: answer.message.id }, 'message handler failed');
      }
    }
  }

  return {
    specVersion: SPEC_VERSION,
    name: 'hub',
    async open() {},
    async close() {
      connection.close();
    },
    async ping({ signal }) {
      await connection.ask({ do: 'count' }, signal);
    },
    async enqueue(messages, { signal }) {
      const bounded = AbortSignal.any([signal, AbortSignal.timeout(enqueueTimeoutMs)]);
      await connection.ask({ do: 'enqueue', messages: [...messages] }, bounded);
    },
    async consume(kind, handler, { concurrency }, call) {
      await Promise.all(Array.from({ length: concurrency }, () => consumeOne(kind, handler, call)));
    },
    async stats({ signal }) {
      const { depth } = await connection.ask({ do: 'count' }, signal);
      return { depth: depth ?? { build: 0, deployment: 0 }, oldestAgeSeconds: 0 };
    },
  };
}
