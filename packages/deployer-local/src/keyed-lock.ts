/** Runs work of the same key one after another, in the order it came. */
export function createKeyedLock(): <Value>(
  key: string,
  work: () => Promise<Value>,
) => Promise<Value> {
  const last = new Map<string, Promise<unknown>>();
  return (key, work) => {
    const before = last.get(key) ?? Promise.resolve();
    const done = before.then(work, work);
    const settled = done
      .catch(() => {})
      .then(() => {
        if (last.get(key) === settled) last.delete(key);
      });
    last.set(key, settled);
    return done;
  };
}
