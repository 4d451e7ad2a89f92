import { inspect } from 'node:util';
import { HttpResponse, http } from 'msw';
import { setupServer } from 'msw/node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testCall } from './support/call.ts';
import {
  api,
  awsError,
  host,
  registryOnWire,
  standingForAws,
  tokenAnswer,
} from './support/wire.ts';

// msw stands for AWS here.
const server = setupServer();
beforeAll(() => server.listen({ onUnhandledFrame: 'error' }));
afterEach(() => server.resetHandlers());
afterAll(() => server.close());

const hourMs = 3_600_000;
const noon = Date.parse('2026-01-01T12:00:00Z');

/** Answers with `token-1`, `token-2` …, each for so long. */
function issuing(lifetimeMs: number, now: () => number) {
  let issued = 0;
  const aws = standingForAws({
    GetAuthorizationToken: () => {
      issued += 1;
      return tokenAnswer(`token-${issued}`, new Date(now() + lifetimeMs));
    },
  });
  server.use(aws.handler);
  return aws;
}

describe('credentials of ECR', () => {
  it('are a user name and a password for the whole account, until AWS says', async () => {
    const aws = issuing(12 * hourMs, () => noon);
    await using registry = registryOnWire({ clock: { now: () => new Date(noon) } });
    expect(await registry.credentials('acme/site', ['push'], testCall())).toEqual({
      username: 'AWS',
      password: 'token-1',
      expiresAt: '2026-01-02T00:00:00.000Z',
      reach: 'account',
    });
    expect(aws.asked[0]?.input).toEqual({ registryIds: ['123456789012'] });
  });

  it('that the registry refused are forgotten, and no others', async () => {
    issuing(12 * hourMs, Date.now);
    await using registry = registryOnWire();
    const first = await registry.credentials('acme/site', ['push'], testCall());
    registry.forgetCredentials?.({ ...first });
    const second = await registry.credentials('acme/site', ['push'], testCall());
    expect([first.password, second.password]).toEqual(['token-1', 'token-2']);
    // Said late, by somebody whose push began with the first.
    registry.forgetCredentials?.(first);
    expect(await registry.credentials('acme/site', ['push'], testCall())).toEqual(second);
  });

  it('are asked for once, however many want them, for whatever repository', async () => {
    const aws = issuing(12 * hourMs, Date.now);
    await using registry = registryOnWire();
    const asked = Array.from({ length: 50 }, (_, index) =>
      registry.credentials(`acme/site-${index}`, ['pull'], testCall()),
    );
    const passwords = new Set((await Promise.all(asked)).map(({ password }) => password));
    expect([...passwords]).toEqual(['token-1']);
    expect(aws.operations()).toHaveLength(1);
  });

  it('are renewed three hours before the end, for the builds that they are given to', async () => {
    let now = noon;
    const aws = issuing(12 * hourMs, () => now);
    await using registry = registryOnWire({ clock: { now: () => new Date(now) } });
    const password = async () =>
      (await registry.credentials('acme/site', ['push'], testCall())).password;
    expect(await password()).toBe('token-1');
    now += 9 * hourMs - 1;
    expect(await password()).toBe('token-1');
    now += 1;
    expect(await password()).toBe('token-2');
    expect(await password()).toBe('token-2');
    expect(aws.operations()).toHaveLength(2);
  });

  it('that live shorter are used for half of their life', async () => {
    let now = noon;
    const aws = issuing(hourMs, () => now);
    await using registry = registryOnWire({ clock: { now: () => new Date(now) } });
    await registry.open(testCall());
    now += hourMs / 2 - 1;
    await registry.credentials('acme/site', ['push'], testCall());
    expect(aws.operations()).toHaveLength(1);
    now += 1;
    await registry.credentials('acme/site', ['push'], testCall());
    expect(aws.operations()).toHaveLength(2);
  });

  it('are asked for again after a failure', async () => {
    const answers = [
      tokenAnswer('late', new Date(Date.now() + hourMs)),
      awsError('AccessDeniedException'),
    ];
    server.use(standingForAws({ GetAuthorizationToken: () => answers.pop() ?? {} }).handler);
    await using registry = registryOnWire();
    const asked = [1, 2].map(() => registry.credentials('acme/site', ['pull'], testCall()));
    for (const each of asked) await expect(each).rejects.toMatchObject({ code: 'forbidden' });
    expect(await registry.credentials('acme/site', ['pull'], testCall())).toMatchObject({
      password: 'late',
    });
  });

  it('come to the others when the one who asked first leaves', async () => {
    const { promise: asked, resolve: arrived } = Promise.withResolvers<void>();
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
    server.use(
      http.post(api, async () => {
        arrived();
        await answered;
        return HttpResponse.json(tokenAnswer('patience', new Date(Date.now() + hourMs)));
      }),
    );
    await using registry = registryOnWire();
    const impatient = new AbortController();
    const first = registry.credentials('acme/site', ['pull'], testCall(impatient.signal));
    const second = registry.credentials('acme/site', ['pull'], testCall());
    await asked;
    impatient.abort();
    await expect(first).rejects.toMatchObject({ code: 'aborted' });
    answer();
    expect(await second).toMatchObject({ password: 'patience' });
  });

  it('are waited for no longer than until the registry is closed', async () => {
    const { promise: asked, resolve: arrived } = Promise.withResolvers<void>();
    server.use(
      http.post(api, async () => {
        arrived();
        return new Promise<never>(() => {});
      }),
    );
    const registry = registryOnWire();
    const waiting = registry.credentials('acme/site', ['pull'], testCall());
    waiting.catch(() => {});
    await asked;
    await registry.close();
    await expect(waiting).rejects.toMatchObject({ code: 'closed' });
  });

  it.each([
    ['another account', 'https://999999999999.dkr.ecr.eu-west-1.amazonaws.com'],
    ['another region', 'https://123456789012.dkr.ecr.eu-west-2.amazonaws.com'],
    ['nobody', ''],
  ])('are refused when AWS gives them for the registry of %s', async (_, proxyEndpoint) => {
    const answer = tokenAnswer('wrong', new Date(Date.now() + hourMs), proxyEndpoint);
    server.use(standingForAws({ GetAuthorizationToken: () => answer }).handler);
    await using registry = registryOnWire();
    const failed = await registry.open(testCall()).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 'invalid_configuration', retryable: false });
    expect(String(failed)).toContain(host);
  });

  it.each([
    ['none', { authorizationData: [] }],
    ['no time', { authorizationData: [{ authorizationToken: 'QVdTOng=' }] }],
    ['no password', tokenAnswer('', new Date())],
  ])('are not made up where AWS answers with %s', async (_, answer) => {
    server.use(standingForAws({ GetAuthorizationToken: () => answer }).handler);
    await using registry = registryOnWire();
    await expect(registry.open(testCall())).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('are in no error, also where their answer is cut', async () => {
    const whole = JSON.stringify(tokenAnswer('s3cret-canary', new Date(Date.now() + hourMs)));
    const encoded = Buffer.from('AWS:s3cret-canary').toString('base64');
    expect(whole).toContain(encoded);
    for (const body of [whole.slice(0, -5), encoded]) {
      server.use(http.post(api, () => HttpResponse.text(body)));
      await using registry = registryOnWire();
      const failed = await registry.open(testCall()).catch((error: unknown) => error);
      expect(failed).toMatchObject({ code: 'unavailable' });
      const shown = inspect(failed, { depth: 20, showHidden: true });
      expect(shown).not.toContain('canary');
      expect(shown).not.toContain(encoded.slice(0, 8));
    }
  });
});
