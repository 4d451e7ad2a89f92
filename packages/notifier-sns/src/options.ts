import { CygniError } from '@cygni/core';
import { z } from 'zod';

export interface SnsNotifierOptions {
  /** It names account and region. One that ends with `.fifo` is sent each tenant's events as a group. */
  readonly topicArn: string;
  /** Of something else than AWS, or of a VPC endpoint without private DNS. */
  readonly endpoint?: string;
  /** Default: the SDK's chain (environment, profile, web identity, container, instance). */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** For one request, of which there are three at most. Default 5,000 ms. */
  readonly requestTimeoutMs?: number;
}

const schema = z
  .strictObject({
    topicArn: z
      .string()
      .regex(
        /^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?$/,
        'arn:aws:sns:<region>:<account>:<topic>',
      ),
    endpoint: z.url({ protocol: /^https?$/ }).optional(),
    credentials: z
      .object({ accessKeyId: z.string().min(1), secretAccessKey: z.string().min(1) })
      .optional(),
    requestTimeoutMs: z.int().min(1).max(8_000).default(5_000),
  })
  .transform((options) => ({
    ...options,
    region: options.topicArn.split(':')[3] ?? '',
    isFifo: options.topicArn.endsWith('.fifo'),
  }));

export type SnsNotifierSettings = z.output<typeof schema>;

/** @throws `invalid_configuration`; names what is wrong and repeats no value */
export function resolveOptions(options: SnsNotifierOptions): SnsNotifierSettings {
  const parsed = schema.safeParse(options);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new CygniError('invalid_configuration', `createSnsNotifier: ${wrong.join('; ')}`);
}
