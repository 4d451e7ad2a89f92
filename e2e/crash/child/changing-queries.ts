import type { Pool } from '@cygni/store-postgres';

type Query = Parameters<Awaited<ReturnType<Pool['connect']>>['query']>[0];

/** The pool, `change` applied to each query just before it is sent. */
export function changingQueries(pool: Pool, change: (query: Query) => Query): Pool {
  return {
    on: pool.on.bind(pool),
    removeListener: pool.removeListener.bind(pool),
    async connect() {
      const client = await pool.connect();
      return {
        query: (query) => client.query(change(query)),
        release: (destroy) => client.release(destroy),
        on: (event, listener) => client.on(event, listener),
        removeListener: (event, listener) => client.removeListener(event, listener),
      };
    },
  };
}
