import { MESSAGE_VERSION, type Message, type Store } from '@cygni/core';
import { z } from 'zod';
import type { Database } from '../database.ts';
import { parseRow } from '../rows.ts';
import { statement } from '../statement.ts';

const waiting = statement(
  'outbox-waiting',
  `SELECT FROM cygni.outbox WHERE ready OR kind = 'deployment' ORDER BY id LIMIT 1`,
);

/** A rollback goes before what made it necessary. */
const take = statement(
  'outbox-take',
  `SELECT id, kind, work_id AS "workId",
          coalesce((SELECT deployment.kind = 'rollback' FROM cygni.deployments AS deployment
                     WHERE deployment.id = outbox.work_id), false) AS urgent
     FROM cygni.outbox
    WHERE ready OR kind = 'deployment'
    ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED`,
);

const remove = statement('outbox-remove', 'DELETE FROM cygni.outbox WHERE id = ANY ($1::bigint[])');

const rowSchema = z.object({
  id: z.int(),
  kind: z.enum(['build', 'deployment']),
  workId: z.string(),
  urgent: z.boolean(),
});

export function outboxOperations(database: Database): Pick<Store, 'takeOutbox'> {
  return {
    async takeOutbox(limit, deliver, call) {
      let refusal: { readonly reason: unknown } | undefined;
      try {
        // Messages whose removal the server forgets are delivered again.
        const taken = await database.forgettable(
          waiting,
          async (session) => {
            const rows = (await session.run(take, [limit])).map((row) => parseRow(rowSchema, row));
            if (rows.length === 0) return 0;
            await deliver(rows.map(messageOf)).catch((reason: unknown) => {
              refusal = { reason };
              throw reason;
            });
            await session.run(remove, [rows.map(({ id }) => id)]);
            return rows.length;
          },
          call,
        );
        return taken ?? 0;
      } catch (error) {
        throw refusal ? refusal.reason : error;
      }
    },
  };
}

function messageOf({ kind, workId, urgent }: z.output<typeof rowSchema>): Message {
  const message = { v: MESSAGE_VERSION, kind, id: workId };
  return urgent ? { ...message, priority: 'high' } : message;
}
