import { type EndpointWithSecret, type WebhookEndpoint, webhookEndpointSchema } from '@cygni/core';
import { z } from 'zod';

export const endpointViewSchema = webhookEndpointSchema
  .omit({ secrets: true, version: true })
  .extend({
    disabled: z.boolean(),
    previousSecretExpiresAt: z.iso
      .datetime()
      .nullable()
      .describe('Until when the secret before the present one signs too.'),
  });

export const newSecretViewSchema = endpointViewSchema.extend({
  secret: z.string().describe('`whsec_` and base64. No later answer shows it.'),
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

/** With its secret, this once. */
export function viewNewSecret({ endpoint, secret }: EndpointWithSecret) {
  return { ...viewEndpoint(endpoint), secret };
}
