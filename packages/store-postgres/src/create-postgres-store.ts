import { SPEC_VERSION, type Store } from '@cygni/core';
import { createDatabase } from './database.ts';
import { accountOperations } from './operations/accounts.ts';
import { buildClaimOperations } from './operations/build-claims.ts';
import { buildOperations } from './operations/builds.ts';
import { deliveryOperations } from './operations/deliveries.ts';
import { deploymentClaimOperations } from './operations/deployment-claims.ts';
import { deploymentOperations } from './operations/deployments.ts';
import { dispatchOperations } from './operations/dispatch.ts';
import { eventOperations } from './operations/events.ts';
import { logArchiveOperations } from './operations/log-archives.ts';
import { logOperations } from './operations/logs.ts';
import { outboxOperations } from './operations/outbox.ts';
import { retentionOperations } from './operations/retention.ts';
import { serviceOperations } from './operations/services.ts';
import { sourceOperations } from './operations/sources.ts';
import { sweepOperations } from './operations/sweep.ts';
import { webhookEndpointOperations } from './operations/webhook-endpoints.ts';
import { type PostgresStoreOptions, resolveOptions } from './options.ts';
import { statement } from './statement.ts';

const ping = statement('ping', 'SELECT 1');

/**
 * Keeps the truth in PostgreSQL 15 or newer, in the schema `cygni` of the database. `open`, or else the first call,
 * brings that schema up to date. A pool that is handed in is never closed.
 * @throws `invalid_configuration`
 */
export function createPostgresStore(options: PostgresStoreOptions): Store {
  const resolved = resolveOptions(options);
  const database = createDatabase(resolved);
  return {
    specVersion: SPEC_VERSION,
    name: 'postgres',
    open: database.open,
    close: database.close,
    async ping(call) {
      await database.run(ping, [], call);
    },
    ...sourceOperations(database),
    ...buildOperations(database),
    ...buildClaimOperations(database),
    ...logOperations(database),
    ...logArchiveOperations(database),
    ...deploymentOperations(database, { maximumAttempts: resolved.maximumDeploymentAttempts }),
    ...deploymentClaimOperations(database),
    ...serviceOperations(database),
    ...accountOperations(database),
    ...dispatchOperations(database),
    ...outboxOperations(database),
    ...sweepOperations(database),
    ...retentionOperations(database),
    ...eventOperations(database),
    ...webhookEndpointOperations(database),
    ...deliveryOperations(database),
  };
}
