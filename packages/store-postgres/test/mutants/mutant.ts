import { writeFileSync } from 'node:fs';
import { z } from 'zod';

export const mutantSchema = z.strictObject({
  /** The name of a statement, or the path of a file below `src` whose SQL is no statement, or is that of several. */
  place: z.string(),
  /** Is there exactly once. */
  find: z.string(),
  replace: z.string(),
  /** What is no longer so without it. */
  why: z.string(),
  /** Why no test can notice it, where that is so. */
  equivalent: z.string().optional(),
});
/** One thing less in the SQL. Some test must notice it. */
export type Mutant = Readonly<z.output<typeof mutantSchema>>;

type Change = Omit<Mutant, 'place'>;

/** The same changes in each of several places: they share the text. */
export function mutantsOf(
  place: string | readonly string[],
  changes: readonly Change[],
): readonly Mutant[] {
  return [place].flat().flatMap((each) => changes.map((change) => ({ place: each, ...change })));
}

export function isFile({ place }: Mutant): boolean {
  return place.endsWith('.ts');
}

/** @throws where what is to be changed is not there exactly once: then the list is behind the SQL */
export function mutate(text: string, { place, find, replace }: Mutant): string {
  const found = text.split(find).length - 1;
  if (found !== 1) throw new Error(`${place}: found ${found} times: ${find}`);
  return text.replace(find, () => replace);
}

/** Leaves a mark for the runner that the mutant is at work. */
export function markAtWork(): void {
  const { CYGNI_AT_WORK: file } = process.env;
  if (file) writeFileSync(file, '');
}

export function describeMutant({ find, replace }: Mutant): string {
  const [removed, added] = differenceOf(find, replace);
  return added === '' ? `without ${removed}` : `${removed} → ${added}`;
}

/** The words in which two texts differ. */
function differenceOf(before: string, after: string): [removed: string, added: string] {
  const [left, right] = [before.trim().split(/\s+/), after.trim().split(/\s+/)];
  while (left.length > 0 && left[0] === right[0]) {
    left.shift();
    right.shift();
  }
  while (left.length > 0 && left.at(-1) === right.at(-1)) {
    left.pop();
    right.pop();
  }
  return [left.join(' '), right.join(' ')];
}
