const minute = 60;
const hour = 60 * minute;

/** Seconds after each failed try, as Standard Webhooks suggests: ten tries over three days. */
const pauses: readonly number[] = [
  ...[5, 5 * minute, 30 * minute],
  ...[2, 5, 10, 14, 20, 24].map((hours) => hours * hour),
];
const jitter = 0.2;

/** Seconds until the next try, with jitter; null: that was the last. @param failures including the last one */
export function pauseAfter(failures: number): number | null {
  const pause = pauses[failures - 1];
  return pause === undefined ? null : pause * (1 + (Math.random() - 0.5) * jitter);
}
