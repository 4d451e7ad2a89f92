import { z } from 'zod';
import { isFile, type Mutant } from './mutant.ts';

const recordedSchema = z.strictObject({
  /** The statements' texts, by their names. */
  texts: z.record(z.string(), z.string()),
  /** The tests that run them. */
  tests: z.record(z.string(), z.array(z.string())),
});
/** What one file of tests did. */
export type Recorded = z.output<typeof recordedSchema>;

/** Of all files, one a line. */
export function readRecorded(text: string): readonly Recorded[] {
  return text
    .trim()
    .split('\n')
    .map((line) => recordedSchema.parse(JSON.parse(line)));
}

/** The tests that run what the mutant changes; null: all of them may. */
export function testsOf(mutant: Mutant, recorded: readonly Recorded[]): readonly string[] | null {
  const places = isFile(mutant)
    ? recorded.flatMap(({ texts }) =>
        Object.entries(texts).flatMap(([name, text]) => (text.includes(mutant.find) ? name : [])),
      )
    : [mutant.place];
  if (places.length === 0) return null;
  return [
    ...new Set(places.flatMap((place) => recorded.flatMap(({ tests }) => tests[place] ?? []))),
  ];
}

/** As Vitest's option has it. */
export function patternOf(tests: readonly string[]): string {
  return `(${tests.map((name) => name.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|')})$`;
}
