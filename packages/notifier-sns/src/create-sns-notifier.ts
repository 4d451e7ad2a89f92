import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { abortedError, type Call, CygniError, type Notifier, SPEC_VERSION } from '@cygni/core';
import { mapError } from './map-error.ts';
import { resolveOptions, type SnsNotifierOptions, type SnsNotifierSettings } from './options.ts';

const connectTimeoutMs = 3_000;
const maximumAttempts = 3;

/**
 * Publishes the events of every tenant to one SNS topic, with the attributes `type` and `tenant` for filter policies.
 * @throws `invalid_configuration`
 */
export function createSnsNotifier(options: SnsNotifierOptions): Notifier {
  const settings = resolveOptions(options);
  const { topicArn, isFifo } = settings;
  const client = createClient(settings);
  let closed = false;

  function check({ signal }: Call): void {
    if (closed) throw new CygniError('closed', 'the notifier is closed');
    if (signal.aborted) throw abortedError(signal);
  }

  return {
    specVersion: SPEC_VERSION,
    name: 'sns',
    endpoints: null,
    async open(call) {
      check(call);
    },
    async close() {
      closed = true;
      client.destroy();
    },
    async notify({ event }, call) {
      check(call);
      const { id, tenantId, type, subject, data, createdAt } = event;
      const message = { id, type, timestamp: createdAt, tenantId, subject, data };
      const command = new PublishCommand({
        TopicArn: topicArn,
        Message: JSON.stringify(message),
        MessageAttributes: {
          type: { DataType: 'String', StringValue: type },
          tenant: { DataType: 'String', StringValue: tenantId },
        },
        ...(isFifo && { MessageGroupId: tenantId, MessageDeduplicationId: id }),
      });
      try {
        const answer = await client.send(command, { abortSignal: call.signal });
        return {
          ...{ outcome: 'delivered', status: answer.$metadata.httpStatusCode ?? null, error: null },
        };
      } catch (error) {
        throw mapError(error, call.signal);
      }
    },
  };
}

function createClient(settings: SnsNotifierSettings): SNSClient {
  const { region, endpoint, credentials, requestTimeoutMs: requestTimeout } = settings;
  return new SNSClient({
    region,
    maxAttempts: maximumAttempts,
    requestHandler: {
      connectionTimeout: connectTimeoutMs,
      requestTimeout,
      // Without it a request that takes too long is only warned of.
      throwOnRequestTimeout: true,
    },
    ...(endpoint !== undefined && { endpoint }),
    ...(credentials && { credentials }),
  });
}
