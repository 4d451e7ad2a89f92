import type { RequestListener } from 'node:http';
import type { Call, WebhookEndpoint } from '@cygni/core';
import { createWebhookNotifier, type WebhookNotifierOptions } from '@cygni/notifier-webhook';
import { Webhook } from 'standardwebhooks';
import { beforeAll, describe, expect, it } from 'vitest';
import { testCall } from '../../core/test/fixtures/call.ts';
import { type Certificate, makeCertificate } from './support/certificate.ts';
import { endpointAt, key, noticeTo } from './support/notice.ts';
import { startReceiver } from './support/receiver.ts';

const ok: RequestListener = (_, response) => {
  response.writeHead(204).end();
};
const toLoopback = async () => [{ address: '127.0.0.1' }];

function notifierOf(options: Partial<WebhookNotifierOptions> = {}) {
  return createWebhookNotifier({
    ...{ keys: [key], allowedHosts: ['hook.internal'], lookup: toLoopback },
    ...options,
  });
}

async function notify(
  url: string,
  options: Partial<WebhookNotifierOptions> = {},
  { changes, call = testCall() }: { changes?: Partial<WebhookEndpoint>; call?: Call } = {},
) {
  const notifier = notifierOf(options);
  try {
    return await notifier.notify(noticeTo(endpointAt(url, changes)), call);
  } finally {
    await notifier.close();
  }
}

describe('a webhook that is sent', () => {
  it('is what the library of Standard Webhooks trusts', async () => {
    await using receiver = await startReceiver(ok);
    const notifier = notifierOf();
    const endpoint = endpointAt(`http://hook.internal:${receiver.port}/in?x=1`);
    const notice = noticeTo(endpoint);
    expect(await notifier.notify(notice, testCall())).toEqual({
      ...{ outcome: 'delivered', status: 204, error: null },
    });
    const [got] = receiver.received;
    const [present = { id: '', keyId: '', expiresAt: null }] = endpoint.secrets;
    const secret = notifier.endpoints?.secretOf(endpoint, present) ?? '';
    const { id, type, subject, data, createdAt } = notice.event;
    expect(new Webhook(secret).verify(got?.body ?? '', got?.headers ?? {})).toEqual({
      ...{ id, type, subject, data, timestamp: createdAt },
    });
    expect(got?.headers).toMatchObject({
      ...{ 'webhook-id': id, 'content-type': 'application/json' },
    });
    expect(() => new Webhook(secret).verify(`${got?.body} `, got?.headers ?? {})).toThrow();
    await notifier.close();
  });

  it('carries the signatures of both secrets during a rotation, and of none that has expired', async () => {
    await using receiver = await startReceiver(ok);
    const notifier = notifierOf();
    const [one, two, three] = [endpointAt(''), endpointAt(''), endpointAt('')].map(({ id }) => id);
    const secretOf = (id: string | undefined, expiresAt: string | null) => ({
      ...{ id: id ?? '', keyId: key.id, expiresAt },
    });
    const secrets = [
      secretOf(one, null),
      secretOf(two, '2999-01-01T00:00:00.000Z'),
      secretOf(three, '2020-01-01T00:00:00.000Z'),
    ];
    const endpoint = endpointAt(`http://hook.internal:${receiver.port}/`, { secrets });
    await notifier.notify(noticeTo(endpoint), testCall());
    const [got] = receiver.received;
    const trusted = secrets.map((secret) => {
      const made = notifier.endpoints?.secretOf(endpoint, secret) ?? '';
      try {
        return Boolean(new Webhook(made).verify(got?.body ?? '', got?.headers ?? {}));
      } catch {
        return false;
      }
    });
    expect(trusted).toEqual([true, true, false]);
    await notifier.close();
  });

  it('is refused by name where the server has lost the key', async () => {
    const secrets = [{ id: endpointAt('').id, keyId: 'lost', expiresAt: null }];
    const sent = notify('https://hook.internal/', {}, { changes: { secrets } });
    await expect(sent).rejects.toMatchObject({ message: expect.stringContaining('rotate') });
  });

  it.each([200, 201, 299])('is delivered where the answer is %i', async (status) => {
    await using receiver = await startReceiver((_, response) => response.writeHead(status).end());
    expect(await notify(`http://hook.internal:${receiver.port}/`)).toMatchObject({
      ...{ outcome: 'delivered', status },
    });
  });

  it.each([
    [400, 'refused'],
    [404, 'refused'],
    [410, 'gone'],
    [429, 'refused'],
    [500, 'refused'],
    [503, 'refused'],
  ])('is told of where the answer is %i: %s', async (status, outcome) => {
    await using receiver = await startReceiver((_, response) => response.writeHead(status).end());
    expect(await notify(`http://hook.internal:${receiver.port}/`)).toMatchObject({
      ...{ outcome, status },
    });
  });

  it.each(['http://169.254.169.254/latest', 'file:///etc/passwd', '/elsewhere'])(
    'follows no redirect to %s: it is a failure',
    async (location) => {
      await using receiver = await startReceiver((_, response) =>
        response.writeHead(302, { location }).end(),
      );
      expect(await notify(`http://hook.internal:${receiver.port}/`)).toEqual({
        ...{ outcome: 'refused', status: 302 },
        error: 'the endpoint answered 302; redirects are not followed',
      });
      expect(receiver.received).toHaveLength(1);
    },
  );

  it('is delivered by the status, whatever comes after it', async () => {
    await using receiver = await startReceiver((_, response) => {
      response.writeHead(200);
      response.write('x'.repeat(1_000_000), () => response.destroy());
    });
    expect(await notify(`http://hook.internal:${receiver.port}/`)).toMatchObject({
      outcome: 'delivered',
    });
  });

  it('is given up where no answer comes in time', async () => {
    await using receiver = await startReceiver(() => {});
    const sent = notify(`http://hook.internal:${receiver.port}/`, { timeoutMs: 50 });
    await expect(sent).rejects.toMatchObject({ code: 'timeout', message: 'timed out' });
  });

  it('is given up where a name is not resolved in time', async () => {
    const lookup = () => new Promise<never>(() => {});
    const sent = notify('https://hook.internal/', { lookup, timeoutMs: 50 });
    await expect(sent).rejects.toMatchObject({ code: 'timeout' });
  });

  it('ends with its call', async () => {
    await using receiver = await startReceiver(() => {});
    const leave = new AbortController();
    const call = testCall(leave.signal);
    const sent = notify(`http://hook.internal:${receiver.port}/`, {}, { call });
    leave.abort();
    await expect(sent).rejects.toMatchObject({ code: 'aborted' });
  });

  it('ends with the notifier, which then sends no more', async () => {
    await using receiver = await startReceiver(() => {});
    const notifier = notifierOf();
    const notice = noticeTo(endpointAt(`http://hook.internal:${receiver.port}/`));
    const sent = notifier.notify(notice, testCall());
    const ended = expect(sent).rejects.toMatchObject({ code: 'closed' });
    await Promise.all([notifier.close(), notifier.close()]);
    await ended;
    await expect(notifier.notify(notice, testCall())).rejects.toMatchObject({ code: 'closed' });
  });

  it('tells why nobody answered, without an address', async () => {
    const receiver = await startReceiver(ok);
    await receiver[Symbol.asyncDispose]();
    await expect(notify(`http://hook.internal:${receiver.port}/`)).rejects.toMatchObject({
      ...{ code: 'unavailable', message: 'the connection was refused' },
    });
    await using cutting = await startReceiver((request) => request.socket.destroy());
    await expect(notify(`http://hook.internal:${cutting.port}/`)).rejects.toMatchObject({
      ...{ code: 'unavailable', message: 'the connection was cut' },
    });
  });
});

describe('an endpoint', () => {
  let certificate: Certificate;
  beforeAll(async () => {
    certificate = await makeCertificate('hook.internal', 'public.test');
  });

  it('is trusted by its certificate', async () => {
    await using receiver = await startReceiver(ok, certificate);
    const url = `https://hook.internal:${receiver.port}/`;
    expect(await notify(url, { ca: certificate.cert })).toMatchObject({ outcome: 'delivered' });
    await expect(notify(url)).rejects.toMatchObject({
      ...{ code: 'unavailable', message: 'the certificate is not trusted' },
    });
    await using plain = await startReceiver(ok);
    await expect(notify(`https://hook.internal:${plain.port}/`)).rejects.toMatchObject({
      ...{ code: 'unavailable', message: 'no TLS connection could be made' },
    });
  });

  it('with a name of its own is asked for by that name', async () => {
    await using receiver = await startReceiver(ok, certificate);
    const url = `https://other.internal:${receiver.port}/`;
    const options = { ca: certificate.cert, allowedHosts: ['other.internal'] };
    await expect(notify(url, options)).rejects.toMatchObject({
      message: 'the certificate is not trusted',
    });
  });

  it.each([
    '127.0.0.1',
    '10.0.0.5',
    '169.254.169.254',
    'fd00:ec2::254',
    '::ffff:169.254.169.254',
    '100.100.100.200',
    '64:ff9b::a9fe:a9fe',
  ])('whose name means %s is not connected to', async (address) => {
    await using receiver = await startReceiver(ok, certificate);
    const lookup = async () => [{ address }];
    const sent = notify(`https://public.test:${receiver.port}/`, { ca: certificate.cert, lookup });
    await expect(sent).rejects.toMatchObject({ code: 'forbidden' });
    expect(receiver.connections()).toBe(0);
  });

  it('that is allowed by name is not connected to at a metadata service', async () => {
    const lookup = async () => [{ address: '169.254.169.254' }];
    await expect(notify('http://hook.internal/', { lookup })).rejects.toMatchObject({
      code: 'forbidden',
    });
  });

  it('is connected to at the address that was looked at: the name is asked for once', async () => {
    await using receiver = await startReceiver(ok);
    const answers = ['127.0.0.1', '169.254.169.254'];
    const lookup = async () => [{ address: answers.shift() ?? '' }];
    const url = `http://hook.internal:${receiver.port}/`;
    expect(await notify(url, { lookup })).toMatchObject({ outcome: 'delivered' });
    expect(answers).toEqual(['169.254.169.254']);
  });

  it('is not connected to where its name cannot be resolved', async () => {
    const lookup = () => Promise.reject(new Error('ENOTFOUND'));
    await expect(notify('https://public.test/', { lookup })).rejects.toMatchObject({
      ...{ code: 'unavailable', message: 'the host cannot be resolved' },
    });
  });

  it.each([
    'http://public.test/',
    'https://169.254.169.254/',
    'https://[::ffff:169.254.169.254]/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://user@public.test/',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'https://metadata.google.internal/',
  ])('at %s is refused when it is set and when it is sent to', async (url) => {
    const { endpoints } = notifierOf();
    expect(() => endpoints?.checkUrl(url)).toThrow(
      expect.objectContaining({
        ...{ code: 'invalid_input', issues: [expect.objectContaining({ pointer: '/url' })] },
      }),
    );
    await expect(notify(url)).rejects.toMatchObject({ code: 'invalid_input' });
  });
});
