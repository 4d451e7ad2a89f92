import { type Call, idSchema, type LogLine, type Store } from '@cygni/core';
import { z } from 'zod';
import type { Database } from '../database.ts';
import { parseRow } from '../rows.ts';
import { statement } from '../statement.ts';

/** $1 build, $2 attempt, $3 position, $4 number of lines, $5 the lines. A position that is there is left as it is. */
const append = statement(
  'log-append',
  `WITH build AS (
    UPDATE cygni.builds
       SET log_sequence = log_sequence + $4::integer
     WHERE id = $1 AND attempt = $2 AND state = 'RUNNING'
    RETURNING tenant_id, id, log_sequence
  ),
  chunk AS (
    INSERT INTO cygni.log_chunks (tenant_id, build_id, attempt, position, last_sequence, line_count, lines)
    SELECT tenant_id, id, $2, $3, log_sequence, $4, $5 FROM build WHERE $4 > 0
    ON CONFLICT (build_id, attempt, position) DO NOTHING
  )
  SELECT id FROM build`,
);

/** $1 tenant, $2 build, $3 the sequence before, $4 limit. As many chunks as hold that many lines. */
const read = statement(
  'log-read',
  `SELECT attempt, "lastSequence", lines
     FROM (SELECT *, sum(wanted) OVER (ORDER BY "lastSequence") - wanted AS "wantedBefore"
             FROM (SELECT attempt, last_sequence AS "lastSequence", lines,
                          least(line_count, last_sequence - $3::bigint) AS wanted
                     FROM cygni.log_chunks
                    WHERE tenant_id = $1 AND build_id = $2 AND last_sequence > $3
                    ORDER BY last_sequence
                    LIMIT $4) AS chunk) AS counted
    WHERE "wantedBefore" < $4
    ORDER BY "lastSequence"`,
);

const chunkSchema = z.object({
  attempt: z.int(),
  lastSequence: z.int(),
  lines: z
    .string()
    .transform((text): unknown => JSON.parse(text))
    .pipe(z.array(z.tuple([z.string(), z.string()]))),
});

/** A page of the longest lines is some megabytes. */
const pageLines = 500;

export function logOperations(database: Database): Pick<Store, 'appendLog' | 'readLog'> {
  return {
    async appendLog({ id, attempt, position, lines }, call) {
      // As JSON text: PostgreSQL's own types refuse U+0000.
      const text = JSON.stringify(lines.map((line) => [line.time, line.text]));
      const values = [id, attempt, position, lines.length, text];
      return (await database.run(append, values, call)).length > 0;
    },
    async readLog(tenantId, buildId, page, call) {
      if (!idSchema.safeParse(buildId).success) return [];
      return readPage(database, tenantId, buildId, page, call);
    },
  };
}

/** Every line of a log, page by page. */
export async function* readLines(
  database: Database,
  tenantId: string,
  buildId: string,
  call: Call,
): AsyncGenerator<LogLine> {
  let after = 0;
  for (;;) {
    const lines = await readPage(database, tenantId, buildId, { after, limit: pageLines }, call);
    yield* lines;
    after = lines.at(-1)?.sequence ?? after;
    if (lines.length < pageLines) return;
  }
}

async function readPage(
  database: Database,
  tenantId: string,
  buildId: string,
  { after, limit }: { readonly after: number; readonly limit: number },
  call: Call,
): Promise<readonly LogLine[]> {
  const rows = await database.run(read, [tenantId, buildId, after, limit], call);
  const lines: LogLine[] = [];
  for (const row of rows) {
    const chunk = parseRow(chunkSchema, row);
    const first = chunk.lastSequence - chunk.lines.length + 1;
    for (const [index, [time, text]] of chunk.lines.entries()) {
      const sequence = first + index;
      if (sequence > after) lines.push({ sequence, attempt: chunk.attempt, time, text });
    }
  }
  return lines.slice(0, limit);
}
