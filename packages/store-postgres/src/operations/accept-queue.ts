import { abortedError, CygniError } from '@cygni/core';
import type { Candidate, Verdict } from './accept-statement.ts';

/** Judges candidates in one transaction. `wait`: for an account that somebody else has locked. */
type Judge = (
  candidates: readonly Candidate[],
  busyAccounts: 'wait' | 'skip',
  signal: AbortSignal,
) => Promise<readonly Verdict[]>;

export interface AcceptQueueOptions {
  readonly judge: Judge;
  /** Whether an error of the judge's may come of one candidate, so that without it the others would pass. */
  readonly mayBeOnesFault: (error: unknown) => boolean;
  /** How long a candidate waits for its turn. */
  readonly longestWaitMs: number;
}

export interface AcceptQueue {
  /**
   * Judges a candidate together with others that came meanwhile, or, where it was refused in such company before,
   * alone. Rejects on abort: then nobody knows whether it was accepted. Rejects with what the judge rejects with,
   * and with `unavailable` when its turn does not come in time.
   */
  judge(candidate: Candidate, company: 'together' | 'alone', signal: AbortSignal): Promise<Verdict>;
}

interface Entry {
  readonly candidate: Candidate;
  readonly account: string;
  readonly alone: boolean;
  /** Its account was locked. */
  patient: boolean;
  settled: boolean;
  /** By its caller, while it is being judged. */
  onGivenUp: () => void;
  readonly resolve: (verdict: Verdict) => void;
  readonly reject: (error: unknown) => void;
}

/** Transactions at once: while one waits for the disk, another can be worked on. */
const lanes = 2;
/** Those that wait for a lock, one account each. With the lanes, less than a pool's connections. */
const patientLanes = 4;
const largestBatch = 100;
/** What waits is shared out between the lanes that are free, but not in smaller parts: a transaction has its price. */
const smallestShare = 8;

/**
 * Lets those that wait at the same time share a transaction: a commit, which is most of the cost, and an update of
 * the account, whose lock lets one transaction through at a time, are paid once for many.
 */
export function createAcceptQueue({
  judge,
  mayBeOnesFault,
  longestWaitMs,
}: AcceptQueueOptions): AcceptQueue {
  let waiting: Entry[] = [];
  const accounts = new Set<string>();
  let running = 0;
  let runningPatiently = 0;
  let scheduled = false;

  /** In a moment, so that those who ask at the same time go together. */
  function startSoon(): void {
    if (scheduled) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      startWhatCan();
    });
  }

  function startWhatCan(): void {
    while (waiting.length > 0) {
      const batch = nextBatch();
      if (batch.length === 0) return;
      void run(batch);
    }
  }

  /** Oldest first. An account is in one batch at a time: another would only wait for its lock. */
  function nextBatch(): readonly Entry[] {
    const first = waiting.find(
      ({ account, patient }) =>
        !accounts.has(account) && (patient ? runningPatiently < patientLanes : running < lanes),
    );
    if (!first) return [];
    const share = Math.max(smallestShare, Math.ceil(waiting.length / Math.max(1, lanes - running)));
    const caps = new Map<string, number | null>();
    const keys = new Set<string>();
    const batch: Entry[] = [];
    const left: Entry[] = [];
    for (const entry of waiting) {
      if (mayJoin(entry)) batch.push(entry);
      else left.push(entry);
    }
    waiting = left;
    return batch;

    function mayJoin(entry: Entry): boolean {
      if (entry === first) return note(entry);
      if (first?.alone || entry.alone || batch.length === largestBatch) return false;
      if (entry.patient !== first?.patient || accounts.has(entry.account)) return false;
      if (entry.patient && entry.account !== first.account) return false;
      const cap = caps.get(entry.account);
      // Another lane could do nothing for an account that is in this batch.
      if (cap === undefined && batch.length >= share) return false;
      if (cap !== undefined && cap !== entry.candidate.reservation.limit.cap) return false;
      const key = keyOf(entry.candidate);
      return (key === null || !keys.has(key)) && note(entry);
    }

    function note({ account, candidate }: Entry): true {
      caps.set(account, candidate.reservation.limit.cap);
      const key = keyOf(candidate);
      if (key !== null) keys.add(key);
      return true;
    }
  }

  async function run(batch: readonly Entry[]): Promise<void> {
    const patient = batch[0]?.patient === true;
    const held = new Set(batch.map(({ account }) => account));
    for (const account of held) accounts.add(account);
    if (patient) runningPatiently += 1;
    else running += 1;
    try {
      await decide(batch, patient ? 'wait' : 'skip');
    } finally {
      for (const account of held) accounts.delete(account);
      if (patient) runningPatiently -= 1;
      else running -= 1;
      startSoon();
    }
  }

  /** Where a batch fails because of what is in it, its halves are tried: the others must not suffer from one. */
  async function decide(batch: readonly Entry[], busyAccounts: 'wait' | 'skip'): Promise<void> {
    const asked = batch.filter(({ settled }) => !settled);
    if (asked.length === 0) return;
    const abort = new AbortController();
    let wanted = asked.length;
    for (const entry of asked) {
      entry.onGivenUp = () => {
        wanted -= 1;
        if (wanted === 0) abort.abort();
      };
    }
    let verdicts: readonly Verdict[];
    try {
      verdicts = await judge(
        asked.map(({ candidate }) => candidate),
        busyAccounts,
        abort.signal,
      );
    } catch (error) {
      if (asked.length === 1 || !mayBeOnesFault(error)) {
        for (const { reject } of asked) reject(error);
        return;
      }
      const half = Math.ceil(asked.length / 2);
      await decide(asked.slice(0, half), busyAccounts);
      await decide(asked.slice(half), busyAccounts);
      return;
    }
    const again: Entry[] = [];
    for (const [index, entry] of asked.entries()) {
      const verdict = verdicts[index] ?? { kind: 'refused' };
      if (verdict.kind === 'no-account' && busyAccounts === 'skip') {
        entry.patient = true;
        again.push(entry);
      } else {
        entry.resolve(verdict);
      }
    }
    waiting = [...again.filter(({ settled }) => !settled), ...waiting];
  }

  return {
    judge(candidate, company, signal) {
      return new Promise<Verdict>((resolve, reject) => {
        const settle = () => {
          entry.settled = true;
          clearTimeout(timer);
          signal.removeEventListener('abort', onAbort);
        };
        const entry: Entry = {
          candidate,
          account: accountOf(candidate),
          alone: company === 'alone',
          patient: false,
          settled: false,
          onGivenUp() {},
          resolve(verdict) {
            settle();
            resolve(verdict);
          },
          reject(error) {
            settle();
            reject(error);
          },
        };
        function giveUp(reason: CygniError): void {
          waiting = waiting.filter((each) => each !== entry);
          entry.reject(reason);
        }
        function onAbort(): void {
          giveUp(abortedError(signal));
          entry.onGivenUp();
        }
        const timer = setTimeout(() => {
          if (!waiting.includes(entry)) return;
          giveUp(new CygniError('unavailable', `its turn did not come within ${longestWaitMs} ms`));
        }, longestWaitMs);
        if (signal.aborted) return onAbort();
        signal.addEventListener('abort', onAbort, { once: true });
        waiting.push(entry);
        startSoon();
      });
    },
  };
}

function accountOf({ build, reservation }: Candidate): string {
  return JSON.stringify([build.tenantId, reservation.currency, reservation.limit.periodStart]);
}

function keyOf({ build, idempotency }: Candidate): string | null {
  return idempotency && JSON.stringify([build.tenantId, idempotency.route, idempotency.key]);
}
