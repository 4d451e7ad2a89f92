import { mutants } from './list.ts';
import { isFile, type Mutant, mutate } from './mutant.ts';

/** Every statement there is, by its name, as it is without a mutant. */
export const statements = new Map<string, string>();

/** Which mutant of the list is at work; none where it is not set. */
export function activeMutant(): Mutant | null {
  const { CYGNI_MUTANT: index } = process.env;
  return index === undefined ? null : (mutants[Number(index)] ?? null);
}

/** Every statement of the package passes here, on its way from where it is written to where it is prepared. */
export function observe(name: string, text: string): string {
  statements.set(name, text);
  const mutant = activeMutant();
  return mutant && !isFile(mutant) && mutant.place === name ? mutate(text, mutant) : text;
}
