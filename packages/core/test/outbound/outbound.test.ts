import { parseOutboundUrl, refuseAddress, resolveOutbound } from '@cygni/core/outbound';
import { describe, expect, it } from 'vitest';

const nowhere = { allowedHosts: [], allowHttp: false };
const internal = { allowedHosts: ['hooks.internal', '10.0.0.5'], allowHttp: true };
const signal = new AbortController().signal;
const refused = (message: RegExp) =>
  expect.objectContaining({ code: 'invalid_input', message: expect.stringMatching(message) });

describe('a URL that a server is asked to connect to', () => {
  it.each([
    'https://example.com/hook?x=1',
    'https://example.com:8443/',
    'https://93.184.216.34/',
    'https://[2606:2800:220:1:248:1893:25c8:1946]/',
  ])('may be %s', (text) => {
    expect(parseOutboundUrl(text, nowhere, '/url').href).toBe(text);
  });

  it.each([
    ['file:///etc/passwd', /must be https/],
    ['javascript:alert(1)', /must be https/],
    ['http://example.com/', /must be https/],
    ['ext::sh -c id', /must be https/],
    ['nonsense', /is not a URL/],
    ['https://user@example.com/', /credentials/],
    ['https://user:secret@example.com/', /credentials/],
    ['https://:secret@example.com/', /credentials/],
    ['https://metadata.google.internal/', /metadata/],
    ['https://METADATA.google.internal./', /metadata/],
    ['https://169.254.169.254/latest', /not public/],
    ['https://[fd00:ec2::254]/', /metadata/],
    ['https://[::ffff:169.254.169.254]/', /not public/],
    ['https://[::169.254.169.254]/', /not public/],
    ['https://0x7f.1/', /not public/],
    ['https://2130706433/', /not public/],
    ['https://0177.0.0.1/', /not public/],
    ['https://127.1/', /not public/],
    ['https://0/', /not public/],
    ['https://100.100.100.200/', /metadata/],
    ['https://[64:ff9b::a9fe:a9fe]/', /not public/],
    ['https://[64:ff9b:1::a9fe:a9fe]/', /not public/],
    ['https://[2002:a9fe:a9fe::]/', /not public/],
    ['https://10.0.0.5/', /not public/],
    ['https://[::1]/', /not public/],
    ['https://[fe80::1]/', /not public/],
    [`https://example.com/${'x'.repeat(2_048)}`, /2048 characters/],
  ])('may not be %s', (text, message) => {
    expect(() => parseOutboundUrl(text, nowhere, '/url')).toThrow(refused(message));
  });

  it('is not repeated in the error, for it may carry a secret', () => {
    const text = 'https://user:canary@example.com/';
    expect(() => parseOutboundUrl(text, nowhere, '/url')).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('canary') }),
    );
  });

  it('may name a private host, also by http, that is allowed by name', () => {
    for (const text of [
      'http://hooks.internal/',
      'https://HOOKS.internal./',
      'http://10.0.0.5:80/',
    ])
      parseOutboundUrl(text, internal, '/url');
    expect(() => parseOutboundUrl('http://other.internal/', internal, '/url')).toThrow(
      refused(/must be https/),
    );
    expect(() => parseOutboundUrl('https://10.0.0.6/', internal, '/url')).toThrow(
      refused(/not public/),
    );
  });

  it('may never name a metadata service, even one that is allowed', () => {
    const careless = {
      allowedHosts: ['169.254.169.254', 'fd00:ec2::254', 'metadata.google.internal'],
      allowHttp: true,
    };
    for (const host of ['169.254.169.254', '[fd00:ec2::254]', 'metadata.google.internal']) {
      const parse = () => parseOutboundUrl(`http://${host}/`, careless, '/url');
      expect(parse).toThrow(refused(/metadata|linkLocal/));
    }
  });
});

describe('the addresses of a name', () => {
  const resolve = (
    host: string,
    addresses: readonly string[],
    policy: typeof internal = internal,
  ) =>
    resolveOutbound(new URL(`https://${host}/`), policy, {
      signal,
      lookup: async () => addresses.map((address) => ({ address })),
    });

  it('are given where each may be connected to', async () => {
    expect(await resolve('example.com', ['93.184.216.34', '2606:2800::1'])).toEqual([
      { address: '93.184.216.34', family: 4 },
      { address: '2606:2800::1', family: 6 },
    ]);
    expect(await resolve('hooks.internal', ['10.0.0.7', '127.0.0.1', 'fd12::1'])).toHaveLength(3);
  });

  it.each([
    '169.254.169.254',
    'fd00:ec2::254',
    '::ffff:169.254.169.254',
    '100.100.100.200',
    '64:ff9b::a9fe:a9fe',
    'fe80::1%eth0',
    '0.0.0.0',
    '255.255.255.255',
    'no address',
  ])('are refused where one of them is %s, also of a host that is allowed', async (address) => {
    for (const host of ['example.com', 'hooks.internal']) {
      await expect(resolve(host, ['93.184.216.34', address])).rejects.toMatchObject({
        code: 'forbidden',
      });
    }
  });

  it.each(['127.0.0.1', '10.1.2.3', '192.168.1.1', '::1', 'fd12::1', '100.64.0.1'])(
    'are refused where one of them is %s, unless the host is allowed',
    async (address) => {
      await expect(resolve('example.com', [address])).rejects.toMatchObject({ code: 'forbidden' });
      expect(await resolve('hooks.internal', [address])).toHaveLength(1);
    },
  );

  it('that cannot be found are an error that passes', async () => {
    const url = new URL('https://nobody.invalid/');
    const lookup = () => Promise.reject(new Error('ENOTFOUND'));
    await expect(resolveOutbound(url, nowhere, { signal, lookup })).rejects.toMatchObject({
      code: 'unavailable',
      retryable: true,
    });
    await expect(resolve('example.com', [])).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('are looked at also where the URL has an address', async () => {
    const url = new URL('https://127.0.0.1/');
    await expect(resolveOutbound(url, nowhere, { signal })).rejects.toMatchObject({
      code: 'forbidden',
    });
  });

  it('are not waited for after an abort', async () => {
    const lookup = () => new Promise<never>(() => {});
    const aborted = AbortSignal.abort();
    const url = new URL('https://example.com/');
    await expect(resolveOutbound(url, nowhere, { signal: aborted, lookup })).rejects.toMatchObject({
      code: 'aborted',
    });
  });
});

describe('an address', () => {
  it('of a private network is refused unless that is allowed', () => {
    expect(refuseAddress('192.168.0.1', { allowPrivate: false })).toMatch(/not public/);
    expect(refuseAddress('192.168.0.1', { allowPrivate: true })).toBe(null);
  });
});
