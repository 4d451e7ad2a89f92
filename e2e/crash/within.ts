import { setTimeout as sleep } from 'node:timers/promises';

/** Whether it came true in time. @throws when the signal aborts */
export async function within(
  ms: number,
  check: () => boolean,
  signal: AbortSignal,
): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (!check()) {
    if (performance.now() > deadline) return false;
    await sleep(100, undefined, { signal });
  }
  return true;
}
