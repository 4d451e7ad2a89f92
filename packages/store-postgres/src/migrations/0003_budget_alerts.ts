import type { Migration } from './index.ts';

/**
 * What was told of an account: thresholds up to `alerted_percent` of `alerted_cap`. `alerted_from` is what it was
 * before the last settlement, so that the statement that settles knows what is new. The version before tells nothing.
 */
export const budgetAlerts: Migration = {
  version: 3,
  name: 'budget_alerts',
  sql: `
ALTER TABLE cygni.accounts
  ADD COLUMN alerted_percent integer NOT NULL DEFAULT 0,
  ADD COLUMN alerted_from integer NOT NULL DEFAULT 0,
  ADD COLUMN alerted_cap bigint;
`,
};
