import { HttpResponse, http } from 'msw';
import { setupServer } from 'msw/node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testCall } from './support/call.ts';
import { host, registryOnWire, tokenAnswer } from './support/wire.ts';

// msw stands for AWS here.
const server = setupServer();
beforeAll(() => server.listen({ onUnhandledFrame: 'error' }));
afterEach(() => server.resetHandlers());
afterAll(() => server.close());

const account = '123456789012';

/** [host, where its API is, region of the signature] */
const registries: readonly (readonly [string, string, string])[] = [
  [`${account}.dkr.ecr.eu-west-1.amazonaws.com`, 'api.ecr.eu-west-1.amazonaws.com', 'eu-west-1'],
  [
    `${account}.dkr.ecr.us-gov-west-1.amazonaws.com`,
    'api.ecr.us-gov-west-1.amazonaws.com',
    'us-gov-west-1',
  ],
  [
    `${account}.dkr.ecr.cn-north-1.amazonaws.com.cn`,
    'api.ecr.cn-north-1.amazonaws.com.cn',
    'cn-north-1',
  ],
  [
    `${account}.dkr.ecr-fips.us-gov-east-1.amazonaws.com`,
    'api.ecr-fips.us-gov-east-1.amazonaws.com',
    'us-gov-east-1',
  ],
  [`${account}.dkr-ecr.eu-central-1.on.aws`, 'ecr.eu-central-1.api.aws', 'eu-central-1'],
];

describe('the host of a registry', () => {
  it.each(registries)('%s leads to the API at %s', async (name, api, region) => {
    const signatures: string[] = [];
    server.use(
      http.post(`https://${api}/`, ({ request }) => {
        signatures.push(request.headers.get('authorization') ?? '');
        // AWS calls the registry by its first name, whichever it is asked by.
        const suffix = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
        const proxy = `https://${account}.dkr.ecr.${region}.${suffix}`;
        return HttpResponse.json(tokenAnswer('t', new Date(Date.now() + 3_600_000), proxy));
      }),
    );
    await using registry = registryOnWire({ host: name });
    await registry.open(testCall());
    expect([registry.host, registry.insecure]).toEqual([name, false]);
    expect(signatures).toEqual([expect.stringContaining(`/${region}/ecr/aws4_request`)]);
  });

  it('may be any other where the account and the region are named', async () => {
    server.use(
      http.post('https://api.ecr.internal/', () => {
        const expiresAt = new Date(Date.now() + 3_600_000);
        return HttpResponse.json(tokenAnswer('t', expiresAt, 'http://ecr.internal:4510'));
      }),
    );
    await using registry = registryOnWire({
      host: 'ecr.internal:4510',
      insecure: true,
      registryId: account,
      region: 'eu-west-1',
      endpoint: 'https://api.ecr.internal',
    });
    await registry.open(testCall());
  });
});

describe('options', () => {
  it.each([
    ['host', { host: 'https://123456789012.dkr.ecr.eu-west-1.amazonaws.com' }],
    ['host', { host: `${host}/acme` }],
    ['registryId', { host: 'ecr.internal', region: 'eu-west-1' }],
    ['region', { host: 'ecr.internal', registryId: account }],
    ['registryId', { registryId: '999999999999' }],
    ['region', { region: 'eu-west-2' }],
    ['insecure', { insecure: true }],
    ['endpoint', { endpoint: 'ftp://ecr.internal' }],
    ['endpoint', { endpoint: 'https://user@ecr.internal' }],
    [
      'repositories.encryption.keyId',
      { repositories: { encryption: { type: 'AES256', keyId: 'k' } } },
    ],
    ['timeouts.requestMs', { timeouts: { requestMs: 0 } }],
    ['retry.retries', { retry: { retries: 1_000 } }],
  ] as const)('are refused, %s by name', (field, options) => {
    expect(() => registryOnWire(options)).toThrow(`createEcrRegistry: ${field}: `);
  });

  it('are refused without a word of what is secret', () => {
    const credentials = { accessKeyId: 'hunter1', secretAccessKey: 'hunter2', sessionToken: '' };
    expect(() => registryOnWire({ credentials })).toThrow(
      /^createEcrRegistry: credentials(?!.*hunter)/,
    );
  });
});
