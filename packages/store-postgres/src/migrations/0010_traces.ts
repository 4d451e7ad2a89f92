import type { Migration } from './index.ts';

/** Which request work was accepted with. The version before neither reads nor writes it: its work is linked to none. */
export const traces: Migration = {
  version: 10,
  name: 'traces',
  sql: `
ALTER TABLE cygni.builds ADD COLUMN traceparent text;
ALTER TABLE cygni.deployments ADD COLUMN traceparent text;
`,
};
