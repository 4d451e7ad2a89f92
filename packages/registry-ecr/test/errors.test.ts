import { HttpResponse, http } from 'msw';
import { setupServer } from 'msw/node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testCall } from './support/call.ts';
import { api, awsError, registryOnWire, sha256, standingForAws } from './support/wire.ts';

// Answers put in at the wire by msw, which stands for AWS. What they look like is from AWS's documentation.
const server = setupServer();
beforeAll(() => server.listen({ onUnhandledFrame: 'error' }));
afterEach(() => server.resetHandlers());
afterAll(() => server.close());

const registry = registryOnWire({ retry: { retries: 2, firstDelayMs: 1, longestDelayMs: 5 } });
afterAll(() => registry.close());
const list = () => registry.listTags('acme/site', { limit: 1 }, testCall());

/** [status, AWS's name, our code, tries] */
const answers: readonly (readonly [number, string, string, number])[] = [
  [400, 'ThrottlingException', 'rate_limited', 3],
  [400, 'TooManyRequestsException', 'rate_limited', 3],
  [400, 'RequestLimitExceeded', 'rate_limited', 3],
  [429, 'SomethingElse', 'rate_limited', 3],
  [500, 'ServerException', 'unavailable', 3],
  [500, 'InternalFailure', 'unavailable', 3],
  [503, 'ServiceUnavailable', 'unavailable', 3],
  [408, 'RequestTimeout', 'timeout', 3],
  [400, 'RequestTimeoutException', 'timeout', 3],
  [400, 'InvalidParameterException', 'invalid_input', 1],
  [400, 'ValidationException', 'invalid_input', 1],
  [400, 'AccessDeniedException', 'forbidden', 1],
  [400, 'UnrecognizedClientException', 'forbidden', 1],
  [400, 'ExpiredTokenException', 'forbidden', 1],
  [403, 'InvalidSignatureException', 'forbidden', 1],
  [403, 'SomethingElse', 'forbidden', 1],
  [400, 'RepositoryNotFoundException', 'not_found', 1],
  [400, 'LimitExceededException', 'rate_limited', 1],
  [400, 'KmsException', 'invalid_configuration', 1],
  [400, 'UnknownOperationException', 'unsupported', 1],
  [404, 'SomethingElse', 'invalid_configuration', 1],
  [400, 'SomethingNew', 'internal', 1],
];

describe('errors of AWS, put in at the wire', () => {
  for (const [status, name, code, tries] of answers) {
    it(`maps ${status} ${name} to ${code}, after ${tries} tries`, async () => {
      const aws = standingForAws({ ListImages: () => awsError(name, status) });
      server.use(aws.handler);
      const failed = await list().catch((error: unknown) => error);
      // A used-up quota is no throttling: the same request fails in an hour, too.
      expect(failed).toMatchObject({ code, retryable: tries > 1, cause: { name } });
      expect(aws.operations()).toHaveLength(tries);
    });
  }

  it('survives the HTML of a load balancer, which the SDK cannot read', async () => {
    let asked = 0;
    server.use(
      http.post(api, () => {
        asked += 1;
        return HttpResponse.html('<html><body>Bad gateway</body></html>', { status: 502 });
      }),
    );
    await expect(list()).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    expect(asked).toBe(3);
  });

  it('does not take half an answer for one', async () => {
    server.use(http.post(api, () => HttpResponse.text('{"imageIds":[{"imag')));
    await expect(list()).rejects.toMatchObject({ code: 'unavailable', retryable: true });
  });

  it('goes on as soon as AWS does', async () => {
    const throttles = [1, 2];
    const aws = standingForAws({
      ListImages: () =>
        throttles.pop() === undefined
          ? { imageIds: [{ imageTag: 'one' }] }
          : awsError('ThrottlingException'),
    });
    server.use(aws.handler);
    expect(await list()).toEqual(['one']);
    expect(aws.operations()).toHaveLength(3);
  });

  it('waits as long as AWS asks for, and gives up where that is too long', async () => {
    const wanted = ['600', '1'];
    const aws = standingForAws({
      ListImages: () => {
        const seconds = wanted.pop();
        if (seconds === undefined) return { imageIds: [] };
        return awsError('ThrottlingException', 400, { 'retry-after': seconds });
      },
    });
    server.use(aws.handler);
    const delays: object[] = [];
    const call = testCall();
    const log = { ...call.log, debug: (fields: object) => void delays.push(fields) };
    const page = { limit: 1 };
    const failing = registry.listTags('acme/site', page, { ...call, log });
    await expect(failing).rejects.toMatchObject({ code: 'rate_limited' });
    // Our own longest delay is 10 ms.
    const aSecond = expect.closeTo(1_000, -2);
    expect(delays).toEqual([expect.objectContaining({ attempt: 1, delayMs: aSecond })]);
    expect(aws.operations()).toHaveLength(2);
  });

  it('signs anew with the time that AWS says it is', async () => {
    const signedAt: (string | null)[] = [];
    const hourAhead = new Date(Date.now() + 3_600_000);
    server.use(
      http.post(api, ({ request }) => {
        signedAt.push(request.headers.get('x-amz-date'));
        if (signedAt.length > 1) return HttpResponse.json({ imageIds: [] });
        const date = hourAhead.toUTCString();
        return awsError('InvalidSignatureException', 400, { date });
      }),
    );
    const fresh = registryOnWire();
    expect(await fresh.listTags('acme/site', { limit: 1 }, testCall())).toEqual([]);
    const inHour = hourAhead.toISOString().replaceAll(/[-:]/g, '').slice(0, 11);
    expect(signedAt[1]?.slice(0, 11)).toBe(inHour);
    await fresh.close();
  });

  it('says what is missing when there are no credentials', async () => {
    const without = registryOnWire({
      credentials: async () => {
        throw Object.assign(new Error('none'), { name: 'CredentialsProviderError' });
      },
    });
    await expect(without.open(testCall())).rejects.toMatchObject({
      code: 'invalid_configuration',
    });
    await without.close();
  });

  it('passes a failure of one image on', async () => {
    const digest = sha256('x');
    const failures: readonly (readonly [string, string, boolean])[] = [
      ['ImageReferencedByManifestList', 'conflict', false],
      ['UpstreamUnavailable', 'unavailable', true],
      ['KmsError', 'invalid_configuration', false],
      ['SomethingNew', 'internal', false],
    ];
    for (const [failureCode, code, retryable] of failures) {
      const failed = { imageIds: [], failures: [{ failureCode, failureReason: 'so it is' }] };
      server.use(standingForAws({ BatchDeleteImage: () => failed }).handler);
      const deleting = registry.deleteImage('acme/site', digest, testCall());
      await expect(deleting).rejects.toMatchObject({
        code,
        retryable,
        cause: { name: failureCode, message: 'so it is' },
      });
    }
  });
});
