import { z } from 'zod';
import { idSchema } from './names.ts';

export const eventTypes = [
  'build.accepted',
  'build.started',
  'build.finished',
  'build.cancel_requested',
  'build.log_archived',
  'deployment.accepted',
  'deployment.started',
  'deployment.superseded',
  'deployment.finished',
  'deployment.rolled_back',
  'budget.changed',
  'budget.threshold',
  'retention.pruned',
] as const;

export const auditEventSchema = z.strictObject({
  id: idSchema,
  tenantId: z.string(),
  type: z.enum(eventTypes),
  /** The build, deployment or account that it is about. */
  subject: z.string(),
  data: z.record(z.string(), z.unknown()),
  createdAt: z.iso.datetime(),
});
export type AuditEvent = z.output<typeof auditEventSchema>;
