/** What the API has promised, as its clients remember it. */
export interface Promises {
  /** The build of each key that was acknowledged. */
  readonly acknowledged: ReadonlyMap<string, string>;
  /** Keys that were refused for lack of money when they were first asked for: they can have no build. */
  readonly refused: ReadonlySet<string>;
  /** How often the budget refused something. */
  readonly refusals: number;
  /** Builds that the API called cancelled. */
  readonly cancelled: ReadonlySet<string>;
  /** What the API should not have said. */
  readonly broken: readonly string[];
}

export interface PromiseBook extends Promises {
  acknowledge(key: string, buildId: string): void;
  refuse(key: string, options: { readonly first: boolean }): void;
  cancel(buildId: string): void;
  complain(what: string): void;
}

export function createPromiseBook(): PromiseBook {
  const acknowledged = new Map<string, string>();
  const refused = new Set<string>();
  const cancelled = new Set<string>();
  const broken: string[] = [];
  let refusals = 0;
  return {
    acknowledged,
    refused,
    cancelled,
    broken,
    get refusals() {
      return refusals;
    },
    acknowledge(key, buildId) {
      const known = acknowledged.get(key);
      if (known === undefined) acknowledged.set(key, buildId);
      else if (known !== buildId)
        broken.push(`key ${key} made build ${known} and build ${buildId}`);
    },
    refuse(key, { first }) {
      refusals += 1;
      if (acknowledged.has(key)) broken.push(`key ${key} was refused after it was accepted`);
      if (first) refused.add(key);
    },
    cancel(buildId) {
      cancelled.add(buildId);
    },
    complain(what) {
      broken.push(what);
    },
  };
}
