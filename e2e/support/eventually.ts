import { setTimeout as sleep } from 'node:timers/promises';

/** Asks until the answer is something; rejects when that takes longer than `timeoutMs`. */
export async function eventually<Value>(
  ask: () => Promise<Value | null | undefined | false> | Value | null | undefined | false,
  timeoutMs: number,
  intervalMs = 50,
): Promise<Value> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null && answer !== undefined && answer !== false) return answer;
    if (performance.now() > deadline) {
      throw new Error(`still not so after ${timeoutMs} ms: ${ask.toString()}`);
    }
    await sleep(intervalMs);
  }
}
