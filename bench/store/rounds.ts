/** Works for so many seconds and says how much it did a second. */
export type Contestant = (seconds: number) => Promise<number>;

export interface RoundOptions {
  readonly rounds: number;
  readonly seconds: number;
}

/** A contestant's rates, one a round. */
export type Rates<Name extends string> = Readonly<Record<Name, readonly number[]>>;

/**
 * Several short rounds, in each of which everybody has a turn: what else the machine does meanwhile hits all of them
 * alike. A first round, which warms up, does not count.
 */
export async function compare<Name extends string>(
  contestants: Readonly<Record<Name, Contestant>>,
  { rounds, seconds }: RoundOptions,
): Promise<Rates<Name>> {
  const rates = {} as Record<Name, number[]>;
  const names = Object.keys(contestants) as Name[];
  for (const name of names) rates[name] = [];
  for (let round = 0; round <= rounds; round += 1) {
    for (const name of names) {
      const rate = await contestants[name](seconds);
      if (round > 0) rates[name].push(rate);
    }
  }
  return rates;
}

/** The median of what one did in a round as a part of what the other did in the same round. */
export function medianRatio(ones: readonly number[], others: readonly number[]): number {
  return median(ones.map((one, round) => one / (others[round] ?? Number.NaN)));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const above = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const below = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return (above + below) / 2;
}

/** So many clients, each of which asks again as soon as it has its answer. */
export async function perSecond(
  clients: number,
  seconds: number,
  ask: () => Promise<unknown>,
): Promise<number> {
  const began = performance.now();
  const deadline = began + seconds * 1_000;
  let done = 0;
  async function run(): Promise<void> {
    while (performance.now() < deadline) {
      await ask();
      done += 1;
    }
  }
  await Promise.all(Array.from({ length: clients }, run));
  return done / ((performance.now() - began) / 1_000);
}
