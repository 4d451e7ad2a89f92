import { z } from 'zod';
import { auditEventSchema, eventTypes } from './event.ts';
import { idSchema } from './names.ts';

export const webhookSecretSchema = z.strictObject({
  /** What it is derived from, together with the server's key: the secret itself is stored nowhere. */
  id: idSchema,
  /** Which of the server's keys. */
  keyId: z.string(),
  /** Until when it signs beside a newer one; null: the present one. */
  expiresAt: z.iso.datetime().nullable(),
});
/** Names the secret that messages to an endpoint are signed with. */
export type WebhookSecret = z.output<typeof webhookSecretSchema>;

export const webhookEndpointSchema = z.strictObject({
  id: idSchema,
  tenantId: z.string(),
  url: z.string(),
  description: z.string().nullable(),
  /** Which events it gets; empty: all. */
  eventTypes: z.array(z.string()),
  /** Null: it is enabled. */
  disabledReason: z.string().nullable(),
  /** The present one first. */
  secrets: z.array(webhookSecretSchema).min(1),
  /** Grows with each change. */
  version: z.int().positive(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});
/** Where a tenant's events are sent to. */
export type WebhookEndpoint = z.output<typeof webhookEndpointSchema>;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused; \P{Cc} is not known to every reader of a JSON Schema
const printable = /^[^\u0000-\u001f\u007f-\u009f]*$/;
const urlSchema = z.string().min(1).max(2_048).regex(printable, 'no control characters');
const descriptionSchema = z.string().max(200).regex(printable, 'no control characters');
const eventTypesSchema = z
  .array(z.enum(eventTypes))
  .max(eventTypes.length)
  .refine((types) => new Set(types).size === types.length, 'each type once')
  .meta({ uniqueItems: true });

export const webhookEndpointRequestSchema = z.strictObject({
  url: urlSchema,
  description: descriptionSchema.nullable().default(null),
  eventTypes: eventTypesSchema.default([]),
});
export type WebhookEndpointRequest = z.output<typeof webhookEndpointRequestSchema>;

export const webhookEndpointChangesSchema = z.strictObject({
  url: urlSchema.optional(),
  description: descriptionSchema.nullable().optional(),
  eventTypes: eventTypesSchema.optional(),
  disabled: z.boolean().optional(),
});
export type WebhookEndpointChanges = z.output<typeof webhookEndpointChangesSchema>;

export const rotateSecretRequestSchema = z.strictObject({
  /** How long the secret before signs beside the new one: seven days at most. */
  overlapSeconds: z.int().min(0).max(604_800).default(86_400),
});
export type RotateSecretRequest = z.output<typeof rotateSecretRequestSchema>;

export const webhookDeliveryStates = ['PENDING', 'DELIVERED', 'FAILED'] as const;
export type WebhookDeliveryState = (typeof webhookDeliveryStates)[number];

export const webhookDeliverySchema = z.strictObject({
  id: idSchema,
  tenantId: z.string(),
  endpointId: idSchema,
  eventId: idSchema,
  eventType: z.string(),
  state: z.enum(webhookDeliveryStates),
  /** How often it was tried, redeliveries included. */
  attempt: z.int().nonnegative(),
  /** Null: never again, unless it is redelivered by hand. */
  nextAttemptAt: z.iso.datetime().nullable(),
  /** The HTTP status of the last answer; null where there was none. */
  lastStatus: z.int().nullable(),
  lastError: z.string().nullable(),
  createdAt: z.iso.datetime(),
  finishedAt: z.iso.datetime().nullable(),
});
/** One event on its way to one endpoint. */
export type WebhookDelivery = z.output<typeof webhookDeliverySchema>;

/** Of a type that this version may not know: a newer one beside it may record others. */
export const deliveredEventSchema = auditEventSchema.extend({ type: z.string() });
export type DeliveredEvent = z.output<typeof deliveredEventSchema>;
