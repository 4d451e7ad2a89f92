import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Call, CygniError, createRetry, type RetrySettings } from '../src/index.ts';

const settings: RetrySettings = {
  retries: 20,
  firstDelayMs: 100,
  longestDelayMs: 1_000,
  longestRetryAfterMs: 60_000,
};
const busy = () => new CygniError('unavailable', 'busy');

function callWith(signal: AbortSignal = new AbortController().signal): Call {
  return { signal, log: { debug() {}, info() {}, warn() {}, error() {} } };
}

function retrying(options: Partial<RetrySettings> = {}, retryAfterMs = 0) {
  return createRetry(
    { ...settings, ...options },
    {
      mapError: (error) => (error instanceof CygniError ? error : busy()),
      retryAfterMs: () => retryAfterMs,
    },
  );
}

describe('a call that is repeated', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Between the tries of a call that never succeeds, in milliseconds. */
  async function pausesOf(retry: ReturnType<typeof retrying>): Promise<readonly number[]> {
    const tries: number[] = [];
    const failing = retry('a call', callWith(), async () => {
      tries.push(Date.now());
      throw busy();
    });
    const ended = failing.then(
      () => expect.unreachable('it never succeeds'),
      (error: unknown) => error,
    );
    await vi.runAllTimersAsync();
    expect(await ended).toMatchObject({ code: 'unavailable' });
    return tries.slice(1).map((time, index) => time - (tries[index] ?? 0));
  }

  it('waits longer and longer, up to a bound, and gives up after so many retries', async () => {
    const pauses = await pausesOf(retrying());
    expect(pauses).toHaveLength(20);
    for (const [index, pause] of pauses.entries()) {
      const most = Math.min(100 * 2 ** index, 1_000);
      expect(pause).toBeGreaterThanOrEqual(most / 2);
      expect(pause).toBeLessThanOrEqual(most);
    }
  });

  it('is not in step with others, at the longest delay neither', async () => {
    const pauses = await pausesOf(retrying({ firstDelayMs: 1_000 }));
    expect(new Set(pauses).size).toBeGreaterThan(10);
    expect(Math.max(...pauses) - Math.min(...pauses)).toBeGreaterThan(100);
  });

  it('waits as long as the peer asks for, and then not in step with others either', async () => {
    const pauses = await pausesOf(retrying({}, 5_000));
    for (const pause of pauses) {
      expect(pause).toBeGreaterThanOrEqual(5_000);
      expect(pause).toBeLessThanOrEqual(6_000);
    }
    expect(new Set(pauses).size).toBeGreaterThan(10);
  });

  it('is given up at once where the peer asks for too long', async () => {
    expect(await pausesOf(retrying({}, 60_001))).toEqual([]);
  });

  it('is not repeated for a reason that does not pass', async () => {
    let tries = 0;
    const failing = retrying()('a call', callWith(), async () => {
      tries += 1;
      throw new CygniError('invalid_input', 'never right');
    });
    await expect(failing).rejects.toMatchObject({ code: 'invalid_input' });
    expect(tries).toBe(1);
  });

  it('answers with the first success', async () => {
    let tries = 0;
    const answer = retrying()('a call', callWith(), async () => {
      tries += 1;
      if (tries < 3) throw busy();
      return 'done';
    });
    await vi.runAllTimersAsync();
    expect(await answer).toBe('done');
  });

  it('stops waiting as soon as its caller leaves', async () => {
    const leaving = new AbortController();
    let tries = 0;
    const waiting = retrying()('a call', callWith(leaving.signal), async () => {
      tries += 1;
      // No timer has run by then.
      setImmediate(() => leaving.abort());
      throw busy();
    });
    await expect(waiting).rejects.toMatchObject({ code: 'aborted' });
    expect(tries).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is not begun for a caller that has left', async () => {
    let tries = 0;
    const call = callWith(AbortSignal.abort());
    const refused = retrying()('a call', call, async () => {
      tries += 1;
    });
    await expect(refused).rejects.toMatchObject({ code: 'aborted' });
    expect(tries).toBe(0);
  });
});
