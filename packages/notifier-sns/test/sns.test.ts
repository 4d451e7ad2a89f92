import { once } from 'node:events';
import { createServer } from 'node:http';
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import { createSnsNotifier } from '@cygni/notifier-sns';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  credentials,
  type Moto,
  motoIsMissing,
  startMoto,
} from '../../artifacts-s3/test/support/moto.ts';
import { testCall } from '../../core/test/fixtures/call.ts';
import { noticeTo } from '../../notifier-webhook/test/support/notice.ts';
import { startReceiver } from '../../notifier-webhook/test/support/receiver.ts';

const region = 'eu-west-1';
const arn = `arn:aws:sns:${region}:123456789012:events`;

describe.skipIf(motoIsMissing)('a topic that moto plays', () => {
  let moto: Moto;
  let client: SNSClient;
  beforeAll(async () => {
    moto = await startMoto();
    client = new SNSClient({ region, credentials, endpoint: moto.endpoint });
  });
  afterAll(async () => {
    client.destroy();
    await moto[Symbol.asyncDispose]();
  });

  const topic = async (Name: string, Attributes = {}) =>
    (await client.send(new CreateTopicCommand({ Name, Attributes }))).TopicArn ?? '';

  it('hands each event to whoever has subscribed', async () => {
    await using receiver = await startReceiver((_, response) => response.writeHead(200).end());
    const topicArn = await topic('events');
    await client.send(
      new SubscribeCommand({
        ...{ TopicArn: topicArn, Protocol: 'http' },
        Endpoint: `http://127.0.0.1:${receiver.port}/`,
      }),
    );
    const notifier = createSnsNotifier({ topicArn, credentials, endpoint: moto.endpoint });
    const notice = noticeTo(null);
    expect(await notifier.notify(notice, testCall())).toEqual({
      ...{ outcome: 'delivered', status: 200, error: null },
    });
    await notifier.close();
    const [got] = receiver.received;
    const envelope = JSON.parse(got?.body ?? '');
    const { createdAt, ...event } = notice.event;
    expect(JSON.parse(envelope.Message)).toEqual({ ...event, timestamp: createdAt });
  });

  it('hands over what a filter policy asks for, by type and tenant', async () => {
    await using receiver = await startReceiver((_, response) => response.writeHead(200).end());
    const topicArn = await topic('filtered');
    for (const [path, policy] of [
      ['wanted', { type: ['build.finished'], tenant: ['acme'] }],
      ['other-type', { type: ['build.started'] }],
      ['other-tenant', { tenant: ['other'] }],
    ] as const) {
      await client.send(
        new SubscribeCommand({
          ...{ TopicArn: topicArn, Protocol: 'http' },
          Endpoint: `http://127.0.0.1:${receiver.port}/${path}`,
          Attributes: { FilterPolicy: JSON.stringify(policy) },
        }),
      );
    }
    const notifier = createSnsNotifier({ topicArn, credentials, endpoint: moto.endpoint });
    await notifier.notify(noticeTo(null), testCall());
    await notifier.close();
    expect(receiver.received.map(({ path }) => path)).toEqual(['/wanted']);
  });

  it('of the kind that keeps an order takes each event once', async () => {
    const topicArn = await topic('events.fifo', { FifoTopic: 'true' });
    const notifier = createSnsNotifier({ topicArn, credentials, endpoint: moto.endpoint });
    expect(await notifier.notify(noticeTo(null), testCall())).toMatchObject({
      outcome: 'delivered',
    });
    await notifier.close();
  });

  it('that is not there is an error that names it so', async () => {
    const notifier = createSnsNotifier({
      topicArn: `${arn}-none`,
      credentials,
      endpoint: moto.endpoint,
    });
    await expect(notifier.notify(noticeTo(null), testCall())).rejects.toMatchObject({
      ...{ code: 'invalid_configuration', message: expect.stringContaining('does not exist') },
    });
    await notifier.close();
  });
});

describe('SNS', () => {
  async function answering(status: number, code: string) {
    let requests = 0;
    const server = createServer((request, response) => {
      requests += 1;
      request.resume();
      if (status === 0) return;
      response.writeHead(status, { 'content-type': 'text/xml' });
      response.end(
        `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>no</Message></Error></ErrorResponse>`,
      );
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('not listening');
    return {
      endpoint: `http://127.0.0.1:${address.port}`,
      requests: () => requests,
      async [Symbol.asyncDispose]() {
        server.close();
        server.closeAllConnections();
      },
    };
  }

  it.each([
    [403, 'AuthorizationError', 'forbidden', false, 1],
    [403, 'InvalidClientTokenId', 'forbidden', false, 1],
    [403, 'KMSAccessDenied', 'forbidden', false, 1],
    [400, 'Throttled', 'rate_limited', true, undefined],
    [404, 'NotFound', 'invalid_configuration', false, 1],
    [400, 'InvalidParameter', 'internal', false, 1],
    [500, 'InternalError', 'unavailable', true, 3],
    [503, 'Whatever', 'unavailable', true, 3],
  ])('that answers %i %s is %s', async (status, name, code, retryable, requests) => {
    await using server = await answering(status, name);
    const notifier = createSnsNotifier({ topicArn: arn, credentials, endpoint: server.endpoint });
    await expect(notifier.notify(noticeTo(null), testCall())).rejects.toMatchObject({
      ...{ code, retryable },
    });
    if (requests !== undefined) expect(server.requests()).toBe(requests);
    expect(server.requests()).toBeLessThanOrEqual(3);
    await notifier.close();
  });

  it('that does not answer is given up, each time after the time that was set', async () => {
    await using server = await answering(0, '');
    const notifier = createSnsNotifier({
      ...{ topicArn: arn, credentials, endpoint: server.endpoint, requestTimeoutMs: 100 },
    });
    await expect(notifier.notify(noticeTo(null), testCall())).rejects.toMatchObject({
      ...{ code: 'timeout', retryable: true },
    });
    expect(server.requests()).toBe(3);
    await notifier.close();
  });

  it('that cannot be reached is unavailable', async () => {
    const server = await answering(200, '');
    await server[Symbol.asyncDispose]();
    const notifier = createSnsNotifier({ topicArn: arn, credentials, endpoint: server.endpoint });
    await expect(notifier.notify(noticeTo(null), testCall())).rejects.toMatchObject({
      ...{ code: 'unavailable', retryable: true },
    });
    await notifier.close();
  });

  it('is left when the call ends, and after the end of the notifier', async () => {
    await using server = await answering(0, '');
    const notifier = createSnsNotifier({ topicArn: arn, credentials, endpoint: server.endpoint });
    const leave = new AbortController();
    const sent = notifier.notify(noticeTo(null), testCall(leave.signal));
    leave.abort();
    await expect(sent).rejects.toMatchObject({ code: 'aborted' });
    await notifier.close();
    await notifier.close();
    await expect(notifier.notify(noticeTo(null), testCall())).rejects.toMatchObject({
      code: 'closed',
    });
  });
});

describe('the options', () => {
  it.each([
    { topicArn: 'events' },
    { topicArn: 'arn:aws:sqs:eu-west-1:123456789012:events' },
    { topicArn: arn, endpoint: 'file:///etc' },
    { topicArn: arn, requestTimeoutMs: 0 },
  ])('%j are refused', (options) => {
    expect(() => createSnsNotifier(options)).toThrow(
      expect.objectContaining({ code: 'invalid_configuration' }),
    );
  });

  it('take the partitions that AWS has, and topics that keep an order', () => {
    for (const topicArn of [
      'arn:aws-cn:sns:cn-north-1:123456789012:events',
      'arn:aws-us-gov:sns:us-gov-west-1:123456789012:events.fifo',
    ])
      createSnsNotifier({ topicArn });
  });
});
