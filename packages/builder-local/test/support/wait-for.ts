import { setTimeout as delay } from 'node:timers/promises';

/** Waits until a condition of another process holds, 20 s at most. */
export async function waitFor(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error('the condition never held');
    await delay(50);
  }
}
