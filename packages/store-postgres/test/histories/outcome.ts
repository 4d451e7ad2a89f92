import { isCygniError } from '@cygni/core';

/** What came of a call: its result without the times, which no two stores share, or why it was refused. */
export type Outcome =
  | { readonly result: unknown }
  /** The error's code; where it has none, its message. */
  | { readonly refused: string; readonly figures?: unknown };

export async function outcomeOf(work: Promise<unknown>): Promise<Outcome> {
  try {
    return { result: withoutTimes(await work) };
  } catch (error) {
    if (!isCygniError(error)) return { refused: String((error as Error).message) };
    const { code, budget } = error;
    return { refused: code, ...(budget && { figures: budget }) };
  }
}

function isTime(name: string, value: unknown): boolean {
  return name === 'ageSeconds' || (name.endsWith('At') && typeof value === 'string');
}

/** Keeps whether there is a time. */
export function withoutTimes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutTimes);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [
      name,
      isTime(name, each) ? 'a time' : withoutTimes(each),
    ]),
  );
}
