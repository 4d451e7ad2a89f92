import { isFile, markAtWork, mutantSchema, mutate } from './mutant.ts';

/** Every statement there is, by its name, as it is without a mutant. */
export const statements = new Map<string, string>();

const { CYGNI_MUTANT: chosen } = process.env;

/** The mutant that is at work; null without one. */
export const activeMutant = chosen ? mutantSchema.parse(JSON.parse(chosen)) : null;

/**
 * Every statement of the package passes here, on its way from where it is written to where it is prepared.
 * @public to the code that vitest.config.ts puts there
 */
export function observe(name: string, text: string): string {
  statements.set(name, text);
  if (!activeMutant || isFile(activeMutant) || activeMutant.place !== name) return text;
  markAtWork();
  return mutate(text, activeMutant);
}
