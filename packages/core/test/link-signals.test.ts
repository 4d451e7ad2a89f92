import { getEventListeners } from 'node:events';
import { abortedError, CygniError, linkSignals } from '@cygni/core';
import { afterEach, describe, expect, it, vi } from 'vitest';

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
}

describe('a linked signal', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('aborts with the first of the others, and with its reason', () => {
    const [first, second] = [new AbortController(), new AbortController()];
    using linked = linkSignals([first.signal, second.signal]);
    expect(linked.signal.aborted).toBe(false);
    const reason = new CygniError('closed', 'closed');
    second.abort(reason);
    first.abort();
    expect(linked.signal.reason).toBe(reason);
  });

  it('is aborted from the start where one of the others is', () => {
    const reason = new Error('over');
    using linked = linkSignals([new AbortController().signal, AbortSignal.abort(reason)]);
    expect(linked.signal.reason).toBe(reason);
  });

  it('aborts when its time is over, as a timeout', async () => {
    using linked = linkSignals([new AbortController().signal], 1);
    await aborted(linked.signal);
    expect(abortedError(linked.signal).code).toBe('timeout');
  });

  it('leaves no timer and no listener behind once it is disposed of', () => {
    vi.useFakeTimers();
    const outer = new AbortController();
    const linked = linkSignals([outer.signal], 60_000);
    expect(vi.getTimerCount()).toBe(1);
    expect(getEventListeners(outer.signal, 'abort')).toHaveLength(1);
    linked[Symbol.dispose]();
    expect(vi.getTimerCount()).toBe(0);
    expect(getEventListeners(outer.signal, 'abort')).toEqual([]);
    outer.abort();
    expect(linked.signal.aborted).toBe(false);
  });
});
