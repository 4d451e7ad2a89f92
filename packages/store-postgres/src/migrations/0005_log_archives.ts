import type { Migration } from './index.ts';

/**
 * Logs that left the store. Without a lease the artifact is whole and the lines are gone; with one, somebody writes it.
 * The version before reads nothing of a log that was archived.
 */
export const logArchives: Migration = {
  version: 5,
  name: 'log_archives',
  sql: `
CREATE TABLE cygni.log_archives (
  tenant_id    text COLLATE "C" NOT NULL,
  build_id     uuid NOT NULL,
  key          text NOT NULL,
  lease_until  timestamptz,
  created_at   timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, build_id),
  FOREIGN KEY (tenant_id, build_id) REFERENCES cygni.builds (tenant_id, id) ON DELETE CASCADE
);
`,
};
