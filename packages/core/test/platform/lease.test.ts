import { isCygniError } from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { holdLease } from '../../src/platform/lease.ts';
import { testCall } from '../fixtures/call.ts';
import { createManualClock } from '../fixtures/manual-clock.ts';

const leaseSeconds = 10;

describe('a lease', () => {
  it('lasts as long as heartbeats succeed', async () => {
    const clock = createManualClock();
    let beats = 0;
    const heartbeat = async () => {
      beats += 1;
      return { cancelRequested: false };
    };
    await using lease = holdLease({ leaseSeconds, clock, heartbeat }, testCall());
    for (let step = 0; step < 50; step += 1) await clock.advance(2_000);
    expect(beats).toBe(50);
    expect(lease.signal.aborted).toBe(false);
  });

  it('is lost when a heartbeat finds the claim gone', async () => {
    const clock = createManualClock();
    await using lease = holdLease({ leaseSeconds, clock, heartbeat: async () => null }, testCall());
    await clock.advance(2_000);
    expect(isCygniError(lease.signal.reason, 'lease_lost')).toBe(true);
  });

  it('is given up before the store would give it to another, while the store is out of reach', async () => {
    const clock = createManualClock();
    const heartbeat = async () => {
      throw new Error('connection refused');
    };
    await using lease = holdLease({ leaseSeconds, clock, heartbeat }, testCall());
    await clock.advance(2_000);
    await clock.advance(2_000);
    await clock.advance(2_000);
    expect(lease.signal.aborted).toBe(false);
    await clock.advance(2_000);
    expect(isCygniError(lease.signal.reason, 'lease_lost')).toBe(true);
  });

  it('is lost by a process that was paused past it, without asking the store', async () => {
    const clock = createManualClock();
    let beats = 0;
    const heartbeat = async () => {
      beats += 1;
      return { cancelRequested: false };
    };
    await using lease = holdLease({ leaseSeconds, clock, heartbeat }, testCall());
    await clock.advance(60_000);
    expect(isCygniError(lease.signal.reason, 'lease_lost')).toBe(true);
    expect(beats).toBe(0);
  });

  it('passes a cancel request on', async () => {
    const clock = createManualClock();
    const heartbeat = async () => ({ cancelRequested: true });
    await using lease = holdLease({ leaseSeconds, clock, heartbeat }, testCall());
    expect(lease.cancelled.aborted).toBe(false);
    await clock.advance(2_000);
    expect(lease.cancelled.aborted).toBe(true);
    expect(lease.signal.aborted).toBe(false);
  });
});
