import { setTimeout as delay } from 'node:timers/promises';

/** Asks until there is something, for as long as the signal lets it. */
export async function eventually<Value>(
  read: () => Value | undefined | Promise<Value | undefined>,
  signal: AbortSignal,
): Promise<Value> {
  for (;;) {
    const value = await read();
    if (value !== undefined) return value;
    await delay(50, undefined, { signal });
  }
}
