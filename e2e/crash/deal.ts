import type { Random } from './random.ts';

export const redisFaults = ['flush', 'lose', 'freeze', 'cut', 'fill'] as const;
const kinds = [
  'kill',
  'pause',
  'terminate',
  'fast',
  'immediate',
  'backend',
  ...redisFaults,
] as const;
export type FaultKind = (typeof kinds)[number];

/** Each kind comes up in every round, in its proportion. */
const deck: readonly FaultKind[] = [
  ...Array.from({ length: 7 }, () => 'kill' as const),
  ...Array.from({ length: 4 }, () => 'pause' as const),
  ...Array.from({ length: 2 }, () => 'terminate' as const),
  'fast',
  'immediate',
  'backend',
  ...redisFaults,
  'flush',
];

export interface Dealer {
  next(): FaultKind;
  /** One that could not be caused now. It comes again after the next one. */
  putBack(kind: FaultKind): void;
}

/**
 * Deals out the deck, shuffled again for each round. In the first one, every other fault is of another kind of Redis's,
 * until all have been: a short run sees them too.
 */
export function createDealer(random: Random): Dealer {
  const early = random.shuffled(redisFaults);
  const rest = random.shuffled(deck);
  for (const kind of early) rest.splice(rest.indexOf(kind), 1);
  const dealt = [
    ...early.flatMap((kind, place) => [kind, ...rest.slice(place, place + 1)]),
    ...rest.slice(early.length),
  ];

  return {
    next() {
      if (dealt.length === 0) dealt.push(...random.shuffled(deck));
      return dealt.shift() ?? 'kill';
    },
    putBack(kind) {
      dealt.splice(1, 0, kind);
    },
  };
}

export type FaultCounts = Readonly<Record<FaultKind, number>>;

export function noFaults(): Record<FaultKind, number> {
  return {
    kill: 0,
    pause: 0,
    terminate: 0,
    fast: 0,
    immediate: 0,
    backend: 0,
    flush: 0,
    lose: 0,
    freeze: 0,
    cut: 0,
    fill: 0,
  };
}
