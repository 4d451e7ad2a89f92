import { createMemoryQueue, isCygniError, type Message } from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { testCall } from './fixtures/call.ts';

const message = (id: string): Message => ({ v: 1, kind: 'build', id });

describe('the memory queue', () => {
  it('hands messages over in the order in which they came, whether or not somebody waits', async () => {
    const queue = createMemoryQueue();
    const stop = new AbortController();
    const seen: string[] = [];
    await queue.enqueue([message('1'), message('2')], testCall());
    const consuming = queue.consume(
      'build',
      async ({ id }) => {
        seen.push(id);
        if (id === '2') await queue.enqueue([message('3')], testCall());
        if (id === '3') stop.abort();
      },
      { concurrency: 1 },
      testCall(stop.signal),
    );
    await consuming;
    expect(seen).toEqual(['1', '2', '3']);
  });

  it('runs no more handlers at once than asked for', async () => {
    const queue = createMemoryQueue();
    const stop = new AbortController();
    let running = 0;
    let most = 0;
    let left = 10;
    await queue.enqueue(
      Array.from({ length: 10 }, (_, index) => message(String(index))),
      testCall(),
    );
    await queue.consume(
      'build',
      async () => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        left -= 1;
        if (left === 0) stop.abort();
      },
      { concurrency: 3 },
      testCall(stop.signal),
    );
    expect(most).toBe(3);
  });

  it('goes on after a handler that rejects', async () => {
    const queue = createMemoryQueue();
    const stop = new AbortController();
    await queue.enqueue([message('bad'), message('good')], testCall());
    const seen: string[] = [];
    await queue.consume(
      'build',
      async ({ id }) => {
        seen.push(id);
        if (id === 'bad') throw new Error('boom');
        stop.abort();
      },
      { concurrency: 1 },
      testCall(stop.signal),
    );
    expect(seen).toEqual(['bad', 'good']);
  });

  it('waits for running handlers when it is told to stop', async () => {
    const queue = createMemoryQueue();
    const stop = new AbortController();
    let finished = false;
    await queue.enqueue([message('1')], testCall());
    await queue.consume(
      'build',
      async () => {
        stop.abort();
        await new Promise((resolve) => setImmediate(resolve));
        finished = true;
      },
      { concurrency: 2 },
      testCall(stop.signal),
    );
    expect(finished).toBe(true);
  });

  it('counts what waits, by kind', async () => {
    const queue = createMemoryQueue();
    await queue.enqueue([message('1'), { v: 1, kind: 'deployment', id: '2' }], testCall());
    const stats = await queue.stats(testCall());
    expect(stats.depth).toEqual({ build: 1, deployment: 1 });
    expect(stats.oldestAgeSeconds).toBeGreaterThanOrEqual(0);
  });

  it('ends its consumers and refuses messages once closed', async () => {
    const queue = createMemoryQueue();
    const consuming = queue.consume('build', async () => {}, { concurrency: 2 }, testCall());
    await queue.close();
    await consuming;
    await expect(queue.enqueue([message('1')], testCall())).rejects.toSatisfy((error) =>
      isCygniError(error, 'closed'),
    );
  });
});
