import type { Migration } from './index.ts';

/**
 * PostgreSQL's own compression takes more time than all else that an append does. lz4 is left out of some builds,
 * the embedded one among them; there the lines stay as they are until they are archived.
 */
export const logCompression: Migration = {
  version: 6,
  name: 'log_compression',
  sql: `
DO $$
BEGIN
  ALTER TABLE cygni.log_chunks ALTER COLUMN lines SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
  ALTER TABLE cygni.log_chunks ALTER COLUMN lines SET STORAGE EXTERNAL;
END
$$;
`,
};
