import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Notifier, SourceFetcher } from '@cygni/core';
import { createSnsNotifier, type SnsNotifierOptions } from '@cygni/notifier-sns';
import { createWebhookNotifier, type WebhookKey } from '@cygni/notifier-webhook';
import { createGitFetcher } from '@cygni/sources-git';
import { z } from 'zod';
import { writePrivately } from './signing-key.ts';

/** Separated by commas. */
const hosts = z
  .string()
  .default('')
  .transform((list) => list.split(/\s*,\s*/).filter((host) => host !== ''));

const keyBytes = 32;
const keyText = /^[A-Za-z0-9+/]{43}=$/;

/** What is read of the environment for what the server connects to on behalf of its users. `secret`: its value is never shown. */
export const outboundVariables = z.object({
  WEBHOOK_KEYS: z
    .string()
    .transform((list) => list.split(/\s*,\s*/))
    .pipe(
      z.array(z.string().regex(keyText, '32 bytes in base64, several with commas between them')),
    )
    .optional()
    .meta({
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
  readonly webhookKeys: readonly WebhookKey[] | undefined;
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
    webhookKeys: variables.WEBHOOK_KEYS?.map(keyOf),
    webhookHosts: variables.WEBHOOK_ALLOWED_HOSTS,
    gitHosts: variables.GIT_ALLOWED_HOSTS,
    gitCaFile: variables.GIT_CA_FILE,
    sns: topicArn === undefined ? undefined : { topicArn, ...(endpoint && { endpoint }) },
  };
}

/** Whom the server tells of events, and how it reads sources. Does no I/O. */
export function createOutbound(
  { outbound, dataDirectory }: { outbound: OutboundConfiguration; dataDirectory: string },
  keys: readonly WebhookKey[],
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

/** The configured keys, or else the one in the data directory; made on the first start. */
export async function loadWebhookKeys({
  outbound,
  dataDirectory,
}: {
  readonly outbound: OutboundConfiguration;
  readonly dataDirectory: string;
}): Promise<readonly WebhookKey[]> {
  if (outbound.webhookKeys) return outbound.webhookKeys;
  const path = join(dataDirectory, 'webhook-key');
  const stored = await readStored(path);
  if (stored !== undefined) return [keyOf(stored)];
  const made = randomBytes(keyBytes).toString('base64');
  await writePrivately(path, made);
  return [keyOf(made)];
}

async function readStored(path: string): Promise<string | undefined> {
  try {
    const text = (await readFile(path, 'utf8')).trim();
    if (keyText.test(text)) return text;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  throw new Error(`${path} is not a webhook key; restore it, or remove it to get a new one`);
}

/** Named after itself, so that servers with the same key agree on the name, and one with another does not. */
function keyOf(text: string): WebhookKey {
  const key = Buffer.from(text, 'base64');
  const id = createHash('sha256').update('cygni webhook key ').update(key).digest('hex');
  return { id: id.slice(0, 16), key };
}
