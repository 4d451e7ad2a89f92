import { z } from 'zod';
import { idSchema } from './names.ts';

export const eventTypes = [
  'source.added',
  'build.accepted',
  'build.started',
  'build.released',
  'build.finished',
  'build.cancel_requested',
  'build.log_archived',
  'deployment.accepted',
  'deployment.started',
  'deployment.advanced',
  'deployment.released',
  'deployment.superseded',
  'deployment.finished',
  'deployment.rolled_back',
  'service.created',
  'service.stable_changed',
  'service.url_changed',
  'budget.changed',
  'budget.threshold',
  'retention.pruned',
  'webhook_endpoint.created',
  'webhook_endpoint.updated',
  'webhook_endpoint.disabled',
  'webhook_endpoint.secret_rotated',
  'webhook_endpoint.deleted',
] as const;

export const auditEventSchema = z.strictObject({
  id: idSchema,
  tenantId: z.string(),
  type: z.enum(eventTypes),
  /** What it is about: the id of a source, a build, a deployment or an endpoint, the name of a service, or the tenant. */
  subject: z.string(),
  data: z.record(z.string(), z.unknown()),
  createdAt: z.iso.datetime(),
});
export type AuditEvent = z.output<typeof auditEventSchema>;
