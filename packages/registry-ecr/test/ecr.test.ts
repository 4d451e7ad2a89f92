import { randomUUID } from 'node:crypto';
import { ECRClient, StartImageScanCommand } from '@aws-sdk/client-ecr';
import { mediaTypes, type RepositoryLocation } from '@cygni/core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { motoIsMissing } from '../../artifacts-s3/test/support/moto.ts';
import { testCall } from './support/call.ts';
import { ecrFacts } from './support/ecr-facts.ts';
import { apiError, type Fault, faultFor, type SeenRequest } from './support/ecr-fake/faults.ts';
import {
  type EcrBackend,
  type EcrFake,
  startEcrBackend,
  startEcrFake,
} from './support/ecr-fake/start-ecr-fake.ts';
import { newImage, pushBlobs, pushImage } from './support/image.ts';
import { credentials, registryOn } from './support/registry.ts';

const asks = (operation: string) => (request: SeenRequest) => request.operation === operation;
const isManifestPut = ({ method, url }: SeenRequest) =>
  method === 'PUT' && url.includes('/manifests/');
const refused = { code: 'forbidden', retryable: false };

describe.skipIf(motoIsMissing)('ECR, as a fake over moto plays it', () => {
  let backend: EcrBackend;
  let fake: EcrFake;
  let on: ReturnType<typeof registryOn>;
  beforeAll(async () => {
    backend = await startEcrBackend();
  });
  afterAll(() => backend?.[Symbol.asyncDispose]());
  beforeEach(async () => {
    fake = await startEcrFake(backend);
    on = registryOn(fake);
  });
  afterEach(async () => {
    await on?.[Symbol.asyncDispose]();
    await fake?.[Symbol.asyncDispose]();
  });

  const newName = () => `acme/${randomUUID().slice(0, 13)}`;
  const count = (matches: (request: SeenRequest) => boolean) => fake.seen.filter(matches).length;
  async function locate(repository: string): Promise<RepositoryLocation> {
    const { host, insecure } = on.registry;
    const credentials = await on.registry.credentials(repository, ['pull', 'push'], testCall());
    return { host, insecure, repository, credentials };
  }
  async function newRepository(): Promise<RepositoryLocation> {
    const repository = newName();
    await on.registry.ensureRepository(repository, testCall());
    return locate(repository);
  }

  ecrFacts(async () => {
    const [own, other] = [
      registryOn(fake),
      registryOn(fake, { repositories: { tags: 'immutable' } }),
    ];
    return {
      registry: own.registry,
      immutable: other.registry,
      images: own.images,
      prefix: 'acme',
      async [Symbol.asyncDispose]() {
        await own[Symbol.asyncDispose]();
        await other[Symbol.asyncDispose]();
      },
    };
  });

  describe('a push', () => {
    it('with a token that has run out is refused, and works with the next one', async () => {
      const old = await newRepository();
      fake.elapse(43_200);
      const image = newImage();
      const late = pushImage(on.images, old, 'one', image, testCall());
      await expect(late).rejects.toMatchObject(refused);
      await pushImage(on.images, await locate(old.repository), 'one', image, testCall());
      const found = await on.registry.resolve(old.repository, 'one', testCall());
      expect(found.digest).toBe(image.digest);
    });

    it('whose token runs out after its layers leaves no image, and ends with the next token', async () => {
      const location = await newRepository();
      const image = newImage();
      await pushBlobs(on.images, location, image, testCall());
      fake.fault = (request) => {
        if (isManifestPut(request)) fake.expireTokens();
        return undefined;
      };
      const late = pushImage(on.images, location, 'one', image, testCall());
      await expect(late).rejects.toMatchObject(refused);
      expect(await on.registry.listTags(location.repository, { limit: 1 }, testCall())).toEqual([]);
      fake.fault = () => undefined;
      if (location.credentials) on.registry.forgetCredentials?.(location.credentials);
      const renewed = await locate(location.repository);
      const manifest = { mediaType: mediaTypes.ociManifest, bytes: image.manifest };
      await on.images.putManifest(renewed, 'one', manifest, testCall());
      expect((await on.registry.resolve(location.repository, 'one', testCall())).digest).toBe(
        image.digest,
      );
    });
  });

  describe('resolving', () => {
    it('asks the API alone, which takes no token of the registry', async () => {
      const location = await newRepository();
      const image = newImage();
      await pushImage(on.images, location, 'one', image, testCall());
      fake.expireTokens();
      const found = await on.registry.resolve(location.repository, 'one', testCall());
      expect(found.digest).toBe(image.digest);
      expect(count(asks('GetAuthorizationToken'))).toBe(1);
    });
  });

  it('really gives a new repository its policies', async () => {
    const rule = {
      rulePriority: 1,
      selection: { tagStatus: 'untagged', countType: 'imageCountMoreThan', countNumber: 100 },
      action: { type: 'expire' },
    };
    await using own = registryOn(fake, {
      repositories: {
        scanOnPush: true,
        encryption: { type: 'KMS' },
        resourceTags: { team: 'platform' },
        lifecyclePolicy: { rules: [rule] },
        policy: {
          Version: '2012-10-17',
          Statement: [{ Effect: 'Allow', Principal: '*', Action: 'ecr:BatchGetImage' }],
        },
      },
    });
    const repository = newName();
    await own.registry.ensureRepository(repository, testCall());
    await own.registry.ensureRepository(repository, testCall());
    const asked = fake.seen.map(({ operation }) => operation);
    expect(asked).toEqual([
      'DescribeRepositories',
      'CreateRepository',
      'GetLifecyclePolicy',
      'PutLifecyclePolicy',
      'GetRepositoryPolicy',
      'SetRepositoryPolicy',
      'DescribeRepositories',
    ]);
    // Another process finds them there.
    await using other = registryOn(fake, { repositories: { lifecyclePolicy: { rules: [rule] } } });
    await other.registry.ensureRepository(repository, testCall());
    expect(fake.seen.slice(asked.length).map(({ operation }) => operation)).toEqual([
      'DescribeRepositories',
      'GetLifecyclePolicy',
    ]);
  });

  const passing: Readonly<Record<string, Fault>> = {
    'is throttled': apiError('ThrottlingException', 'Rate exceeded'),
    'fails inside AWS': apiError('ServerException', 'Internal', 500),
    'is answered by a load balancer': { kind: 'answer', status: 503, body: '<html></html>' },
    'is cut': { kind: 'cut' },
    'loses its answer': { kind: 'loseAnswer' },
  };
  describe.each(Object.entries(passing))('a request that %s', (_, fault) => {
    it.each([
      'GetAuthorizationToken',
      'DescribeRepositories',
      'CreateRepository',
      'BatchGetImage',
      'PutImage',
      'ListImages',
      'BatchDeleteImage',
    ])('is repeated: %s', async (operation) => {
      fake.fault = faultFor(asks(operation), fault, 2);
      const location = await newRepository();
      const { repository } = location;
      const image = newImage();
      await pushImage(on.images, location, image.digest, image, testCall());
      await on.registry.tag(repository, image.digest, 'two', testCall());
      const page = { limit: 5 };
      expect(await on.registry.listTags(repository, page, testCall())).toEqual(['two']);
      await on.registry.deleteImage(repository, image.digest, testCall());
      expect(await on.registry.listTags(repository, page, testCall())).toEqual([]);
      expect(count(asks(operation))).toBeGreaterThan(2);
    });
  });

  it('has findings for an image that was scanned, as moto makes them up', async () => {
    const location = await newRepository();
    const image = newImage();
    const { digest } = image;
    await pushImage(on.images, location, 'scanned', image, testCall());
    const findings = () =>
      on.registry.scanFindings(location.repository, digest, { limit: 10 }, testCall());
    await expect(findings()).rejects.toMatchObject({ code: 'not_found' });
    const client = new ECRClient({ endpoint: fake.endpoint, credentials, region: 'us-east-1' });
    const imageId = { imageDigest: digest };
    await client.send(new StartImageScanCommand({ repositoryName: location.repository, imageId }));
    client.destroy();
    expect(await findings()).toMatchObject({
      status: 'complete',
      counts: { HIGH: 1 },
      more: false,
    });
    expect((await findings()).findings).toMatchObject([{ severity: 'HIGH' }]);
  });

  it('gives up after a bounded number of tries', async () => {
    fake.fault = (request) => (asks('ListImages')(request) ? { kind: 'cut' } : undefined);
    const listing = on.registry.listTags('acme/site', { limit: 1 }, testCall());
    await expect(listing).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    expect(count(asks('ListImages'))).toBe(4);
  });

  it('says that AWS did not answer in time', async () => {
    fake.fault = () => ({ kind: 'hang' });
    await using hasty = registryOn(fake, {
      timeouts: { requestMs: 50, idleMs: 50 },
      retry: { retries: 1, firstDelayMs: 1 },
    });
    await expect(hasty.registry.open(testCall())).rejects.toMatchObject({
      code: 'timeout',
      retryable: true,
    });
    expect(count(asks('GetAuthorizationToken'))).toBe(2);
  });

  it('lets go of a request that hangs as soon as its caller leaves', async () => {
    const leaving = new AbortController();
    fake.fault = (request) => {
      if (asks('ListImages')(request)) leaving.abort();
      return { kind: 'hang' };
    };
    const listing = on.registry.listTags('acme/site', { limit: 1 }, testCall(leaving.signal));
    await expect(listing).rejects.toMatchObject({ code: 'aborted', retryable: false });
  });

  it('says that nobody is at the endpoint', async () => {
    await using nowhere = registryOn(fake, { endpoint: 'http://127.0.0.1:1' });
    await expect(nowhere.registry.open(testCall())).rejects.toMatchObject({
      code: 'unavailable',
      retryable: true,
    });
  });
});
