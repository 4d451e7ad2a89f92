import path from 'node:path';
import { ageMsIfPresent, namesIn, removeIfPresent } from './files.ts';
import type { Layout } from './layout.ts';

/** Files that a crash left between being written and being renamed. */
export async function dropScratch(layout: Layout, ageMs: number): Promise<void> {
  for (const name of await namesIn(layout.scratch)) {
    const file = path.join(layout.scratch, name);
    const age = await ageMsIfPresent(file);
    if (age !== undefined && age > ageMs) await removeIfPresent(file);
  }
}
