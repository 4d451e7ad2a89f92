export interface KeyedLock {
  /** Runs one at a time what has the same key, in the order of the calls. */
  run<Value>(key: string, task: () => Promise<Value>): Promise<Value>;
}

export function createKeyedLock(): KeyedLock {
  const tails = new Map<string, Promise<unknown>>();
  return {
    run(key, task) {
      const before = tails.get(key) ?? Promise.resolve();
      const result = before.then(task, task);
      // The caller sees a failure; the next in line does not.
      const tail = result.then(
        () => undefined,
        () => undefined,
      );
      tails.set(key, tail);
      void tail.then(() => {
        if (tails.get(key) === tail) tails.delete(key);
      });
      return result;
    },
  };
}
