import type { Migration } from './index.ts';

/**
 * Which attempt began what runs for a build, so that the next claim can take it over; null where the next claim begins
 * anew. The version before neither reads nor writes it, and begins anew each time.
 */
export const runs: Migration = {
  version: 7,
  name: 'runs',
  sql: `
ALTER TABLE cygni.builds
  ADD COLUMN run integer,
  ADD COLUMN run_began_at timestamptz(3);
`,
};
