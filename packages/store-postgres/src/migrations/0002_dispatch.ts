import type { Migration } from './index.ts';

/**
 * Builds are let through to the queue a few at a time, tenant by tenant.
 *
 * The version before claims without being let through, and finds what it ends or gives back as it expects it. It sends
 * a message for each outbox row, `ready` or not; this version sends only those that are ready, and drains the notes
 * that an acceptance leaves. So a relay of this version has to run before all workers are of this version.
 * `builds_queued_by_tenant` takes the place of `builds_queued`, also for the sweep of the version before.
 */
export const dispatch: Migration = {
  version: 2,
  name: 'dispatch',
  sql: `
ALTER TABLE cygni.builds ADD COLUMN dispatched boolean NOT NULL DEFAULT false;
CREATE INDEX builds_queued_by_tenant ON cygni.builds (tenant_id, dispatched, created_at, id)
  WHERE state = 'QUEUED';
CREATE INDEX builds_unclaimed ON cygni.builds (enqueued_at) WHERE state = 'QUEUED' AND dispatched;
CREATE INDEX builds_in_flight ON cygni.builds (tenant_id)
  WHERE state = 'RUNNING' OR (state = 'QUEUED' AND dispatched);
DROP INDEX cygni.builds_queued;

ALTER TABLE cygni.outbox ADD COLUMN ready boolean NOT NULL DEFAULT false;
CREATE INDEX outbox_ready ON cygni.outbox (id) WHERE ready OR kind = 'deployment';

-- Whose turn it is: who was served longest ago, counted in dispatches.
CREATE SEQUENCE cygni.dispatches;
CREATE TABLE cygni.dispatch_turns (
  tenant_id  text COLLATE "C" PRIMARY KEY,
  turn       bigint NOT NULL
) WITH (fillfactor = 50);
`,
};
