import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@cygni/core';
import type { RegistryServer } from './create-registry-server.ts';
import type { Collected } from './server/collect-garbage.ts';

export interface GarbageCollectionOptions {
  /** From the end of one collection to the start of the next. */
  readonly intervalMs: number;
  /** A collection that takes longer is broken off; what it has freed by then stays freed. */
  readonly timeoutMs: number;
  /** Ends it all, the collection under way included. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** Told after each collection; undefined of one that failed. */
  readonly onCollection?: (collected: Collected | undefined) => void;
}

/** Collects garbage at once and then now and then, until `signal` aborts. A failure is logged; the next round tries again. Never rejects. */
export async function collectGarbageRegularly(
  registry: Pick<RegistryServer, 'collectGarbage'>,
  { intervalMs, timeoutMs, signal, log, onCollection }: GarbageCollectionOptions,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const bounded = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      onCollection?.(await registry.collectGarbage({ signal: bounded }));
    } catch (err) {
      if (signal.aborted) return;
      log.warn({ err }, 'the garbage of the registry could not be collected');
      onCollection?.(undefined);
    }
    await delay(intervalMs, undefined, { signal }).catch(() => undefined);
  }
}
