import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { sabotages } from './child/sabotage.ts';

const optionsSchema = z.strictObject({
  /** How long load and faults go on. Start and drain come on top. */
  seconds: z.coerce.number().min(5).max(86_400).default(60),
  /** No more builds than this; load ends early when they are accepted. */
  builds: z.coerce.number().int().min(1).default(1_000_000),
  /** Of the faults and of what clients do; not of the interleaving, which is the machine's. */
  seed: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(() => randomInt(2 ** 32)),
  /** Leaves the run's directory behind, its processes' logs in it. */
  keep: z.stringbool().default(false),
  /** Breaks one guarantee on purpose: the run must then fail. */
  sabotage: z.enum(sabotages).optional(),
});
export type CrashTestOptions = z.output<typeof optionsSchema>;

/** @throws with the usage */
export function parseOptions(args: readonly string[]): CrashTestOptions {
  const names = Object.keys(optionsSchema.shape);
  try {
    const { values } = parseArgs({
      args: [...args],
      options: Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])),
    });
    return optionsSchema.parse(values);
  } catch (cause) {
    const said = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause);
    const usage = `--seconds=60 --builds=1000 --seed=7 --keep=no --sabotage=${sabotages.join('|')}`;
    throw new Error(`${said}\nusage: npm run test:crash -- ${usage}`, { cause });
  }
}
