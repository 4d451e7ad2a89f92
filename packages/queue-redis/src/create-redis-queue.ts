import { abortedError, type Call, CygniError, type Queue, SPEC_VERSION } from '@cygni/core';
import { consumeKind } from './consumer.ts';
import { type RedisQueueOptions, resolveOptions } from './options.ts';
import { createProducer, type Producer } from './producer.ts';

/** How long `open` waits for a Redis that may be away. */
const openPatienceMs = 2_000;
const probeTimeoutMs = 500;
const closeTimeoutMs = 5_000;

/**
 * A queue in Redis 6.2 or newer, through BullMQ: its dashboards show it, under the prefix and with the kinds as names. The
 * Redis should not evict (`maxmemory-policy noeviction`), but may lose everything at any time. `open`, or else the
 * first call, connects.
 * @throws `invalid_configuration`
 */
export function createRedisQueue(options: RedisQueueOptions): Queue {
  const resolved = resolveOptions(options);
  const closing = new AbortController();
  const consuming = new Set<Promise<void>>();
  let producer: Producer | undefined;
  let closed: Promise<void> | undefined;

  /** @throws `closed`, `aborted` */
  function live(call: Call): Producer {
    if (closed) throw new CygniError('closed', 'the queue is closed');
    if (call.signal.aborted) throw abortedError(call.signal);
    producer ??= createProducer(resolved);
    return producer;
  }

  async function answers(call: Call): Promise<boolean> {
    try {
      await producer?.ping({ ...call, signal: AbortSignal.timeout(probeTimeoutMs) });
      return producer !== undefined;
    } catch {
      return false;
    }
  }

  async function close(): Promise<void> {
    closing.abort();
    const timer = Promise.withResolvers<void>();
    const timeout = setTimeout(timer.resolve, closeTimeoutMs);
    await Promise.race([Promise.allSettled(consuming), timer.promise]);
    clearTimeout(timeout);
    producer?.close();
  }

  return {
    specVersion: SPEC_VERSION,
    name: 'redis',
    async open(call) {
      const own = live(call);
      if (await own.connected(openPatienceMs, call.signal)) return;
      if (call.signal.aborted) throw abortedError(call.signal);
      const { lastError } = own;
      if (lastError?.code === 'invalid_configuration') throw lastError;
      call.log.warn({ err: lastError }, 'Redis is out of reach; messages wait in the store');
    },
    close() {
      closed ??= close();
      return closed;
    },
    ping: async (call) => live(call).ping(call),
    enqueue: async (messages, call) => live(call).enqueue(messages, call),
    stats: async (call) => live(call).stats(call),
    async consume(kind, handler, consume, call) {
      live(call);
      const stop = AbortSignal.any([call.signal, closing.signal]);
      const parts = { options: resolved, answers: () => answers(call) };
      const task = consumeKind(parts, kind, handler, consume, call, stop);
      consuming.add(task);
      try {
        await task;
      } finally {
        consuming.delete(task);
      }
    },
  };
}
