import { abortedError } from '@cygni/core';

export interface BatchOptions<Item, Result> {
  /**
   * All of them in one transaction, without waiting for a lock. An item without a result is asked for alone, as all
   * are when this rejects with what may be the fault of one of them.
   */
  readonly together: (
    items: readonly Item[],
    signal: AbortSignal,
  ) => Promise<readonly (Result | undefined)[]>;
  readonly alone: (item: Item, signal: AbortSignal) => Promise<Result>;
  /** Only items of the same group go together. */
  readonly groupOf: (item: Item) => string;
  /** No two items with the same key go together. */
  readonly keyOf: (item: Item) => string;
  readonly mayBeOnesFault: (error: unknown) => boolean;
}

/** Does the work of an item. Rejects on abort: then nobody knows whether it was done. */
export type Batches<Item, Result> = (item: Item, signal: AbortSignal) => Promise<Result>;

interface Entry<Item, Result> {
  readonly item: Item;
  readonly signal: AbortSignal;
  readonly group: string;
  readonly key: string;
  readonly resolve: (result: Result | Promise<Result>) => void;
  readonly reject: (error: unknown) => void;
  settled: boolean;
  /** By its caller, while it is being worked on. */
  onGivenUp: () => void;
}

/** Transactions at once: while one waits for the disk, another can be worked on. */
const lanes = 2;
const largestBatch = 50;

/** Lets those that come while others are worked on share a transaction: a commit, which is most of the cost, is paid once. */
export function createBatches<Item, Result>(
  options: BatchOptions<Item, Result>,
): Batches<Item, Result> {
  let waiting: Entry<Item, Result>[] = [];
  let running = 0;
  let scheduled = false;

  /** In a moment, so that those who ask at the same time go together. */
  function startSoon(): void {
    if (scheduled) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      while (running < lanes && waiting.length > 0) void run(nextBatch());
    });
  }

  /** Of the oldest and those that may go with it. */
  function nextBatch(): readonly Entry<Item, Result>[] {
    const keys = new Set<string>();
    const batch: Entry<Item, Result>[] = [];
    const left: Entry<Item, Result>[] = [];
    for (const entry of waiting) {
      const joins =
        batch.length < largestBatch && entry.group === waiting[0]?.group && !keys.has(entry.key);
      if (joins) keys.add(entry.key);
      (joins ? batch : left).push(entry);
    }
    waiting = left;
    return batch;
  }

  async function run(batch: readonly Entry<Item, Result>[]): Promise<void> {
    running += 1;
    const abort = new AbortController();
    let wanted = batch.length;
    for (const entry of batch) {
      entry.onGivenUp = () => {
        wanted -= 1;
        if (wanted === 0) abort.abort();
      };
    }
    try {
      const items = batch.map(({ item }) => item);
      const results = await options.together(items, abort.signal);
      for (const [index, entry] of batch.entries()) {
        const result = results[index];
        if (result === undefined) doAlone(entry);
        else entry.resolve(result);
      }
    } catch (error) {
      const apart = batch.length > 1 && options.mayBeOnesFault(error);
      for (const entry of batch) {
        if (apart) doAlone(entry);
        else entry.reject(error);
      }
    } finally {
      running -= 1;
      startSoon();
    }
  }

  function doAlone({ settled, item, signal, resolve }: Entry<Item, Result>): void {
    if (!settled) resolve(options.alone(item, signal));
  }

  return (item, signal) =>
    new Promise<Result>((resolve, reject) => {
      const onAbort = () => {
        waiting = waiting.filter((each) => each !== entry);
        entry.reject(abortedError(signal));
        entry.onGivenUp();
      };
      const settle = () => {
        entry.settled = true;
        signal.removeEventListener('abort', onAbort);
      };
      const entry: Entry<Item, Result> = {
        item,
        signal,
        group: options.groupOf(item),
        key: options.keyOf(item),
        resolve(result) {
          settle();
          resolve(result);
        },
        reject(error) {
          settle();
          reject(error);
        },
        settled: false,
        onGivenUp() {},
      };
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      waiting.push(entry);
      startSoon();
    });
}
