import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { CrashableDatabase } from '../database.ts';
import { checkBalance } from './balance.ts';
import type { Finding } from './finding.ts';

const intervalMs = 500;

const endedSchema = z.object({
  id: z.string(),
  state: z.string(),
  digest: z.string().nullable(),
  cost: z.coerce.number(),
});
export type Ended = z.output<typeof endedSchema>;

export interface Watch {
  /** Builds that had not ended when last looked; infinite until the first look. */
  readonly unfinished: number;
  readonly accepted: number;
  /** How each build had ended when that was first seen. */
  readonly ended: ReadonlyMap<string, Ended>;
  readonly findings: readonly Finding[];
  readonly looks: number;
  /** Looks until the signal aborts. While PostgreSQL is away it sees nothing. */
  run(signal: AbortSignal): Promise<void>;
}

const counts = `
  SELECT count(*)::int AS accepted, (count(*) FILTER (WHERE finished_at IS NULL))::int AS unfinished
    FROM cygni.builds`;
const countsSchema = z.object({ accepted: z.int(), unfinished: z.int() });

/** Overlaps with the look before: what ended at the same time may be seen later. */
const newlyEnded = `
  SELECT id, state, image ->> 'digest' AS digest, cost FROM cygni.builds
   WHERE finished_at > now() - interval '10 seconds'`;

/** Looks at the money and at what has ended, again and again while everything goes on. */
export function createWatch(database: CrashableDatabase): Watch {
  const ended = new Map<string, Ended>();
  const findings: Finding[] = [];
  let seen = { accepted: 0, unfinished: Number.POSITIVE_INFINITY };
  let looks = 0;

  async function look(): Promise<void> {
    const [row] = await database.query(counts);
    seen = countsSchema.parse(row);
    findings.push(...(await checkBalance(database)));
    for (const each of await database.query(newlyEnded)) {
      const build = endedSchema.parse(each);
      if (!ended.has(build.id)) ended.set(build.id, build);
    }
    looks += 1;
  }

  return {
    ended,
    findings,
    get unfinished() {
      return seen.unfinished;
    },
    get accepted() {
      return seen.accepted;
    },
    get looks() {
      return looks;
    },
    async run(signal) {
      while (!signal.aborted) {
        await look().catch((error: unknown) => {
          if (error instanceof z.ZodError) throw error;
        });
        await sleep(intervalMs, undefined, { signal }).catch(() => {});
      }
    },
  };
}
