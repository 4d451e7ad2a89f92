import { z } from 'zod';
import type { Promises } from '../clients/promise-book.ts';
import type { CrashableDatabase } from '../database.ts';
import { digestOf } from '../trace.ts';
import type { Finding } from './finding.ts';
import type { Ended } from './watch.ts';

const buildSchema = z.object({
  id: z.string(),
  key: z.string(),
  state: z.string(),
  attempt: z.int(),
  counted_attempts: z.int(),
  maximum_attempts: z.int(),
  digest: z.string().nullable(),
  cost: z.coerce.number().nullable(),
  begun: z.int(),
  finished: z.int(),
  log_order: z.boolean(),
});
type Build = z.output<typeof buildSchema>;

const builds = `
  SELECT build.id, build.build_arguments ->> 'KEY' AS key, build.state, build.attempt, build.counted_attempts,
         build.maximum_attempts, build.image ->> 'digest' AS digest, build.cost,
         coalesce(event.begun, 0)::int AS begun, coalesce(event.finished, 0)::int AS finished,
         coalesce(log.in_order, true) AS log_order
    FROM cygni.builds AS build
    LEFT JOIN (SELECT subject, count(*) FILTER (WHERE type = 'build.started') AS begun,
                      count(*) FILTER (WHERE type = 'build.finished') AS finished
                 FROM cygni.events GROUP BY subject) AS event ON event.subject = build.id::text
    LEFT JOIN (SELECT build_id, bool_and(attempt >= earlier) AS in_order
                 FROM (SELECT build_id, attempt,
                              lag(attempt, 1, 0) OVER (PARTITION BY build_id ORDER BY last_sequence) AS earlier
                         FROM cygni.log_chunks) AS chunk
                GROUP BY build_id) AS log ON log.build_id = build.id`;

const open: ReadonlySet<string> = new Set(['QUEUED', 'RUNNING']);

/** What PostgreSQL says in the end, held against what clients were promised and what was seen on the way. */
export async function checkBuilds(
  database: CrashableDatabase,
  promises: Promises,
  seen: ReadonlyMap<string, Ended>,
): Promise<{ readonly findings: readonly Finding[]; readonly states: Map<string, number> }> {
  const findings: Finding[] = [];
  const states = new Map<string, number>();
  const byId = new Map<string, Build>();
  const byKey = new Map<string, Build>();
  for (const row of await database.query(builds)) {
    const build = buildSchema.parse(row);
    states.set(build.state, (states.get(build.state) ?? 0) + 1);
    const found = (kind: Finding['kind'], what: string) =>
      findings.push({ kind, what, buildId: build.id });
    const twin = byKey.get(build.key);
    if (twin) found('doubled', `${build.key} made it and ${twin.id}`);
    byKey.set(build.key, build);
    byId.set(build.id, build);
    if (promises.refused.has(build.key)) found('broken', 'it was refused, and exists');
    findings.push(...checkEnd(build), ...checkSame(build, seen.get(build.id)));
  }
  for (const [key, id] of promises.acknowledged) {
    if (!byId.has(id)) findings.push({ kind: 'lost', what: `${key}: no such build`, buildId: id });
  }
  for (const id of promises.cancelled) {
    const state = byId.get(id)?.state;
    if (state !== 'CANCELLED') {
      findings.push({ kind: 'broken', what: `called CANCELLED, and is ${state}`, buildId: id });
    }
  }
  findings.push(...promises.broken.map((what): Finding => ({ kind: 'broken', what })));
  return { findings, states };
}

function checkEnd(build: Build): readonly Finding[] {
  const { id, state, attempt, begun, finished, digest } = build;
  const findings: Finding[] = [];
  const found = (kind: Finding['kind'], what: string) => findings.push({ kind, what, buildId: id });
  if (open.has(state)) found('lost', `it is still ${state} at attempt ${attempt}`);
  else if (finished !== 1) found('doubled', `it finished ${finished} times`);
  if (begun !== attempt) found('doubled', `it was started ${begun} times in ${attempt} attempts`);
  const own = state === 'SUCCEEDED' ? digestOf(id, attempt) : null;
  if (digest !== own) found('doubled', `its image is not that of its last attempt, ${attempt}`);
  if (!build.log_order) found('doubled', 'an earlier attempt wrote into the log of a later one');
  if (build.counted_attempts > build.maximum_attempts) found('broken', 'too many attempts');
  return findings;
}

function checkSame({ id, state, digest, cost }: Build, before: Ended | undefined): Finding[] {
  if (!before) return [];
  if (before.state === state && before.digest === digest && before.cost === cost) return [];
  return [
    { kind: 'doubled', what: `it had ended as ${before.state}, and is ${state}`, buildId: id },
  ];
}
