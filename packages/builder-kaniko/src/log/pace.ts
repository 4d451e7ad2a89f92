/** How long to wait before asking again. Jittered, since builds start together and lose their server together. */
export function createPace() {
  let failures = 0;
  let drops = 0;
  let missingSince: number | undefined;
  let endedSince: number | undefined;
  const jittered = (milliseconds: number) => milliseconds * (0.5 + Math.random());
  const elapsedSince = (start: number) => performance.now() - start;
  return {
    reset() {
      failures = 0;
      drops = 0;
      missingSince = undefined;
    },
    endedFor() {
      endedSince ??= performance.now();
      return elapsedSince(endedSince);
    },
    missingFor() {
      missingSince ??= performance.now();
      return elapsedSince(missingSince);
    },
    afterDrop: () => jittered(Math.min(50 * 2 ** drops++, 1000)),
    /** `unseen`: the watch, which tells within milliseconds that a container runs, has not; it may be late all the same. */
    after(status: 'unseen' | 'starting' | 'missing' | 'failed') {
      if (status === 'failed') return jittered(Math.min(100 * 2 ** failures++, 5000));
      return jittered(status === 'unseen' ? 10_000 : 250);
    },
  };
}
