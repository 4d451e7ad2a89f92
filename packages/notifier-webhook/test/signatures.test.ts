import { createWebhookNotifier, verifyWebhook } from '@cygni/notifier-webhook';
import { describe, expect, it } from 'vitest';
import { sign } from '../src/sign.ts';
import { endpointAt, key } from './support/notice.ts';

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const now = 1_700_000_000;
const body = '{"type":"build.finished"}';
const headersOf = (changes: object = {}) => ({
  'webhook-id': 'msg-1',
  'webhook-timestamp': String(now),
  'webhook-signature': sign(secret, 'msg-1', now, body),
  ...changes,
});
const verify =
  (headers: object, of = body, at = now) =>
  () =>
    verifyWebhook(secret, { ...headers }, of, at);
const refusal = expect.objectContaining({ code: 'unauthenticated' });

describe('a webhook', () => {
  it('is trusted as it was signed, also beside signatures of other secrets', () => {
    const other = sign(`whsec_${Buffer.alloc(32, 8).toString('base64')}`, 'msg-1', now, body);
    verify(headersOf())();
    verify(
      headersOf({ 'webhook-signature': `${other} v2,xyz ${sign(secret, 'msg-1', now, body)}` }),
    )();
    expect(verify(headersOf({ 'webhook-signature': other }))).toThrow(refusal);
  });

  it.each([
    ['another body', headersOf(), `${body} `],
    ['another id', headersOf({ 'webhook-id': 'msg-2' }), body],
    ['another time', headersOf({ 'webhook-timestamp': String(now + 1) }), body],
    ['a shorter signature', headersOf({ 'webhook-signature': 'v1,AAAA' }), body],
    ['no signature', headersOf({ 'webhook-signature': undefined }), body],
    ['a full stop in its id', headersOf({ 'webhook-id': 'msg.1' }), body],
    ['a time that is no number', headersOf({ 'webhook-timestamp': '1e9' }), body],
    ['two ids', headersOf({ 'webhook-id': ['msg-1', 'msg-1'] }), body],
  ])('with %s is refused', (_, headers, of) => {
    expect(verify(headers, of)).toThrow(refusal);
  });

  it('whose id and time could be read in another way is refused', () => {
    const id = `msg-1.${now}`;
    const signature = sign(secret, id, now, body);
    expect(verify(headersOf({ 'webhook-id': id, 'webhook-signature': signature }))).toThrow(
      refusal,
    );
  });

  it('is trusted for five minutes, whichever clock is ahead', () => {
    for (const at of [now - 300, now + 300]) verify(headersOf(), body, at)();
    for (const at of [now - 301, now + 301]) {
      expect(verify(headersOf(), body, at)).toThrow(refusal);
    }
  });
});

describe('the secret of an endpoint', () => {
  const { endpoints } = createWebhookNotifier({ keys: [key] });
  const endpoint = endpointAt('https://acme.test/');
  const [present = { id: '', keyId: '', expiresAt: null }] = endpoint.secrets;

  it('is made of the server’s key and is the same each time', () => {
    const made = endpoints?.secretOf(endpoint, present) ?? '';
    expect(made).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(endpoints?.secretOf(endpoint, present)).toBe(made);
    const others = [
      endpoints?.secretOf({ ...endpoint, tenantId: 'other' }, present),
      endpoints?.secretOf({ ...endpoint, id: endpointAt('').id }, present),
      endpoints?.secretOf(endpoint, { ...present, id: endpointAt('').id }),
      createWebhookNotifier({
        keys: [{ ...key, key: Buffer.alloc(32, 1) }],
      }).endpoints?.secretOf(endpoint, present),
    ];
    expect(new Set([made, ...others]).size).toBe(5);
  });

  it('goes with its key', () => {
    const another = createWebhookNotifier({ keys: [{ ...key, id: 'k2' }] });
    expect(() => another.endpoints?.secretOf(endpoint, present)).toThrow(
      expect.objectContaining({ code: 'not_found' }),
    );
  });
});

describe('the options', () => {
  it.each([
    ['no key', { keys: [] }],
    ['a short key', { keys: [{ id: 'k', key: Buffer.from('canary') }] }],
    ['two keys of one name', { keys: [key, key] }],
    ['a timeout beyond what a call has', { keys: [key], timeoutMs: 60_000 }],
  ])('are refused with %s, by name', (_, options) => {
    expect(() => createWebhookNotifier(options)).toThrow(
      expect.objectContaining({
        code: 'invalid_configuration',
        message: expect.not.stringContaining('canary'),
      }),
    );
  });
});
