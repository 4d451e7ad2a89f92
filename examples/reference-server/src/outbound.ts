import { join } from 'node:path';
import type { Notifier, SourceFetcher } from '@cygni/core';
import { createSnsNotifier, type SnsNotifierOptions } from '@cygni/notifier-sns';
import { createWebhookNotifier } from '@cygni/notifier-webhook';
import { createGitFetcher } from '@cygni/sources-git';
import { z } from 'zod';
import { keyListSchema, type NamedKey, nameKey } from './keys.ts';

/** Separated by commas. */
const hosts = z
  .string()
  .default('')
  .transform((list) => list.split(/\s*,\s*/).filter((host) => host !== ''));

/** What is read of the environment for what the server connects to on behalf of its users. `secret`: its value is never shown. */
export const outboundVariables = z.object({
  WEBHOOK_KEYS: keyListSchema.optional().meta({
    description: 'what the secrets of webhook endpoints are derived from, the first for new ones',
    secret: true,
  }),
  WEBHOOK_ALLOWED_HOSTS: hosts.meta({
    description: 'hosts of private networks that webhooks may be sent to, also by plain http',
  }),
  GIT_ALLOWED_HOSTS: hosts.meta({
    description: 'hosts of private networks that sources may be read from',
  }),
  GIT_CA_FILE: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'PEM file of authorities that git trusts instead of the system’s' }),
  SNS_TOPIC_ARN: z
    .string()
    .regex(/^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]{1,256}$/, 'the ARN of a topic')
    .optional()
    .meta({ description: 'the SNS topic that every event is published to' }),
  SNS_ENDPOINT: z
    .url({ protocol: /^https?$/ })
    .optional()
    .meta({ description: 'where SNS is, if not where AWS has it' }),
});

export interface OutboundConfiguration {
  /** Undefined: a key in the data directory. */
  readonly webhookKeys: readonly NamedKey[] | undefined;
  readonly webhookHosts: readonly string[];
  readonly gitHosts: readonly string[];
  readonly gitCaFile: string | undefined;
  /** Undefined: events are not published. */
  readonly sns: SnsNotifierOptions | undefined;
}

export function outboundConfiguration(
  variables: z.output<typeof outboundVariables>,
): OutboundConfiguration {
  const { SNS_TOPIC_ARN: topicArn, SNS_ENDPOINT: endpoint } = variables;
  return {
    webhookKeys: variables.WEBHOOK_KEYS?.map((text) => nameKey('webhook', text)),
    webhookHosts: variables.WEBHOOK_ALLOWED_HOSTS,
    gitHosts: variables.GIT_ALLOWED_HOSTS,
    gitCaFile: variables.GIT_CA_FILE,
    sns: topicArn === undefined ? undefined : { topicArn, ...(endpoint && { endpoint }) },
  };
}

/** Whom the server tells of events, and how it reads sources. Does no I/O. */
export function createOutbound(
  { outbound, dataDirectory }: { outbound: OutboundConfiguration; dataDirectory: string },
  keys: readonly NamedKey[],
): { readonly notifiers: readonly Notifier[]; readonly sourceFetcher: SourceFetcher } {
  const { webhookHosts, gitHosts, gitCaFile, sns } = outbound;
  return {
    notifiers: [
      createWebhookNotifier({ keys, allowedHosts: webhookHosts }),
      ...(sns ? [createSnsNotifier(sns)] : []),
    ],
    sourceFetcher: createGitFetcher({
      directory: join(dataDirectory, 'git'),
      allowedHosts: gitHosts,
      ...(gitCaFile !== undefined && { caFile: gitCaFile }),
    }),
  };
}
