import type { Migration } from './index.ts';

/** What the layer cache did for a build. */
export const buildCache: Migration = {
  version: 8,
  name: 'build_cache',
  sql: 'ALTER TABLE cygni.builds ADD COLUMN cache json;',
};
