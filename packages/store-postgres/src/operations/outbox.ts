import type { Message, Store } from '@cygni/core';
import { z } from 'zod';
import type { Database } from '../database.ts';
import { parseRow } from '../rows.ts';
import { statement } from '../statement.ts';

const take = statement(
  'outbox-take',
  `SELECT id, kind, work_id AS "workId"
     FROM cygni.outbox
    WHERE ready OR kind = 'deployment'
    ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED`,
);

const remove = statement('outbox-remove', 'DELETE FROM cygni.outbox WHERE id = ANY ($1::bigint[])');

const rowSchema = z.object({
  id: z.int(),
  kind: z.enum(['build', 'deployment']),
  workId: z.string(),
});

export function outboxOperations(database: Database): Pick<Store, 'takeOutbox'> {
  return {
    async takeOutbox(limit, deliver, call) {
      let refusal: { readonly reason: unknown } | undefined;
      try {
        return await database.transaction(async (session) => {
          const rows = (await session.run(take, [limit])).map((row) => parseRow(rowSchema, row));
          if (rows.length === 0) return 0;
          const messages = rows.map(({ kind, workId }): Message => ({ v: 1, kind, id: workId }));
          await deliver(messages).catch((reason: unknown) => {
            refusal = { reason };
            throw reason;
          });
          await session.run(remove, [rows.map(({ id }) => id)]);
          return rows.length;
        }, call);
      } catch (error) {
        throw refusal ? refusal.reason : error;
      }
    },
  };
}
