/** What manifests on their way in refer to, so that a collection under way leaves it alone. */
export interface LiveReferences {
  /** Runs `task` while everything in `digests` counts as referred to. */
  during<Value>(digests: readonly string[], task: () => Promise<Value>): Promise<Value>;
  /** Runs a collection with the set of what is, or was since it began, on its way in. */
  collecting<Value>(task: (arriving: ReadonlySet<string>) => Promise<Value>): Promise<Value>;
}

export function createLiveReferences(): LiveReferences {
  const counts = new Map<string, number>();
  const collections = new Set<Set<string>>();

  return {
    async during(digests, task) {
      for (const digest of digests) {
        counts.set(digest, (counts.get(digest) ?? 0) + 1);
        for (const collection of collections) collection.add(digest);
      }
      try {
        return await task();
      } finally {
        for (const digest of digests) {
          const left = (counts.get(digest) ?? 1) - 1;
          if (left === 0) counts.delete(digest);
          else counts.set(digest, left);
        }
      }
    },
    async collecting(task) {
      const arriving = new Set(counts.keys());
      collections.add(arriving);
      try {
        return await task(arriving);
      } finally {
        collections.delete(arriving);
      }
    },
  };
}
