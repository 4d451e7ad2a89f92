import pg from 'pg';

/** Every row of every table, as text, by table. */
export async function dumpTables(url: string): Promise<ReadonlyMap<string, string>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string }>(
      `SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) AS name
         FROM information_schema.tables
        WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`,
    );
    const dumped = new Map<string, string>();
    for (const { name } of rows) {
      const found = await client.query(`SELECT row_to_json(t)::text AS row FROM ${name} AS t`);
      dumped.set(name, found.rows.map(({ row }) => row).join('\n'));
    }
    return dumped;
  } finally {
    await client.end();
  }
}
