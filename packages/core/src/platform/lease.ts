import type { Call } from '../contracts/call.ts';
import type { Heartbeat } from '../contracts/store.ts';
import { CygniError } from '../errors.ts';
import type { Clock } from './clock.ts';

export interface Lease {
  /** Aborts with `lease_lost` before anybody else may take the work, or when the outer signal aborts. */
  readonly signal: AbortSignal;
  /** Aborts when a user asked for the work to be cancelled. */
  readonly cancelled: AbortSignal;
  /** Ends the heartbeats. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Keeps a claim alive by heartbeats. The deadline is monotonic and earlier than the store's: a worker that was
 * paused, or that cannot reach the store, stops by itself before its claim is given to another.
 */
export function holdLease(
  options: {
    readonly leaseSeconds: number;
    readonly clock: Clock;
    readonly heartbeat: (call: Call) => Promise<Heartbeat | null>;
  },
  call: Call,
): Lease {
  const { clock } = options;
  const intervalMs = (options.leaseSeconds * 1000) / 5;
  const safeMs = (options.leaseSeconds * 1000 * 4) / 5;
  const lost = new AbortController();
  const cancelled = new AbortController();
  /** By its loss too. */
  const ended = new AbortController();
  const signal = AbortSignal.any([call.signal, lost.signal]);
  let validUntil = clock.monotonic() + safeMs;

  function lose(reason: string, cause?: unknown): void {
    lost.abort(new CygniError('lease_lost', reason, { cause }));
    ended.abort(reason);
  }

  async function beat(): Promise<void> {
    const sentAt = clock.monotonic();
    const remainingMs = validUntil - sentAt;
    if (remainingMs <= 0) return lose('the lease ran out before a heartbeat succeeded');
    try {
      const timeout = AbortSignal.timeout(Math.ceil(remainingMs));
      const answer = await options.heartbeat({ ...call, signal: timeout });
      if (!answer) return lose('another worker has the claim');
      if (clock.monotonic() >= validUntil) return lose('the lease ran out during a heartbeat');
      validUntil = sentAt + safeMs;
      if (answer.cancelRequested) cancelled.abort();
    } catch (error) {
      call.log.warn({ err: error }, 'heartbeat failed');
      if (clock.monotonic() >= validUntil) lose('the store was out of reach', error);
    }
  }

  async function run(): Promise<void> {
    while (!ended.signal.aborted) {
      await clock.sleep(intervalMs, ended.signal);
      if (!ended.signal.aborted) await beat();
    }
  }

  const running = run();
  return {
    signal,
    cancelled: cancelled.signal,
    async [Symbol.asyncDispose]() {
      ended.abort('released');
      await running;
    },
  };
}
