import { type EndpointWithSecret, type WebhookEndpoint, webhookEndpointSchema } from '@cygni/core';
import { z } from 'zod';

export const endpointViewSchema = webhookEndpointSchema
  .omit({ secrets: true, version: true })
  .extend({
    disabled: z.boolean(),
    previousSecretExpiresAt: z.iso
      .datetime()
      .nullable()
      .describe('Until when the secret before signs too; null: there is none.'),
  });

export const endpointWithSecretViewSchema = endpointViewSchema.extend({
  secret: z.string().describe('Signs the messages. No later answer shows it.'),
});

/** An endpoint as the API shows it: nothing of its secrets but how long an old one still signs. */
export function viewEndpoint({
  secrets,
  version: _,
  ...endpoint
}: WebhookEndpoint): z.output<typeof endpointViewSchema> {
  return {
    ...endpoint,
    disabled: endpoint.disabledReason !== null,
    previousSecretExpiresAt: secrets[1]?.expiresAt ?? null,
  };
}

/** With its secret, which no later answer shows. */
export function viewNewSecret({
  endpoint,
  secret,
}: EndpointWithSecret): z.output<typeof endpointWithSecretViewSchema> {
  return { ...viewEndpoint(endpoint), secret };
}

export function endpointTag({ version }: WebhookEndpoint): string {
  return `"${version}"`;
}

const tag = /^"(\d{1,9})"$/;

/** The version that an `If-Match` names: null without one or with `*`; 0, which none has, where it is no tag of ours. */
export function versionOf(ifMatch: string | undefined): number | null {
  if (ifMatch === undefined || ifMatch === '*') return null;
  return Number(tag.exec(ifMatch)?.[1] ?? 0);
}
