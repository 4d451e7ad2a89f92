import { randomUUID } from 'node:crypto';
import { mediaTypes, type RepositoryLocation } from '@cygni/core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { motoIsMissing } from '../../artifacts-s3/test/support/moto.ts';
import { testCall } from './support/call.ts';
import { apiError, type Fault, faultFor, type SeenRequest } from './support/ecr-fake/faults.ts';
import {
  type EcrBackend,
  type EcrFake,
  startEcrBackend,
  startEcrFake,
} from './support/ecr-fake/start-ecr-fake.ts';
import { newImage, pushBlobs, pushImage, sha256 } from './support/image.ts';
import { registryOn } from './support/registry.ts';

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

  describe('a push', () => {
    it('into a repository that was never created is refused at its first request', async () => {
      const location = await locate(newName());
      const pushing = pushImage(on.images, location, 'one', newImage(), testCall());
      await expect(pushing).rejects.toMatchObject({ code: 'not_found', retryable: false });
      expect(count(isManifestPut)).toBe(0);
    });

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

    it('whose token runs out after its layers leaves no image', async () => {
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
    });

    it('with a password that AWS never gave is refused', async () => {
      const location = await newRepository();
      const credentials = {
        username: 'AWS',
        password: 'x',
        expiresAt: null,
        reach: 'account',
      } as const;
      const stranger = { ...location, credentials };
      const pushing = pushImage(on.images, stranger, 'one', newImage(), testCall());
      await expect(pushing).rejects.toMatchObject(refused);
    });

    it('does not move an immutable tag', async () => {
      await using immutable = registryOn(fake, { repositories: { tags: 'immutable' } });
      const repository = newName();
      await immutable.registry.ensureRepository(repository, testCall());
      const location = await locate(repository);
      const [first, second] = [newImage(), newImage()];
      await pushImage(on.images, location, 'one', first, testCall());
      const pushing = pushImage(on.images, location, 'one', second, testCall());
      await expect(pushing).rejects.toMatchObject({ retryable: false });
      expect((await on.registry.resolve(repository, 'one', testCall())).digest).toBe(first.digest);
    });
  });

  describe('an immutable tag', () => {
    it('is won by exactly one of many, and the others hear of it', async () => {
      await using immutable = registryOn(fake, { repositories: { tags: 'immutable' } });
      const repository = newName();
      await immutable.registry.ensureRepository(repository, testCall());
      const location = await locate(repository);
      const candidates = Array.from({ length: 5 }, newImage);
      for (const image of candidates) {
        await pushImage(on.images, location, image.digest, image, testCall());
      }
      const results = await Promise.allSettled(
        candidates.map(({ digest }) => on.registry.tag(repository, digest, 'one', testCall())),
      );
      const winners = results.flatMap(({ status }, index) =>
        status === 'fulfilled' ? [candidates[index]?.digest] : [],
      );
      expect(winners).toHaveLength(1);
      for (const result of results) {
        if (result.status === 'fulfilled') continue;
        expect(result.reason).toMatchObject({ code: 'conflict', retryable: false });
      }
      expect((await on.registry.resolve(repository, 'one', testCall())).digest).toBe(winners[0]);
    });
  });

  describe('resolving', () => {
    it('follows the redirect to the storage of layers without credentials', async () => {
      const location = await newRepository();
      const image = newImage();
      await pushImage(on.images, location, 'one', image, testCall());
      const answer = await fetch(
        `${fake.endpoint}/v2/${location.repository}/blobs/${sha256(image.config)}`,
        { redirect: 'manual', headers: { authorization: basic(location) } },
      );
      const storage = answer.headers.get('location') ?? '';
      expect([answer.status, new URL(storage).host === fake.host]).toEqual([307, false]);
      const both = await fetch(storage, { headers: { authorization: basic(location) } });
      expect(both.status).toBe(400);
      const found = await on.registry.resolve(location.repository, 'one', testCall());
      expect(found.platforms).toEqual(['linux/amd64']);
    });

    it('gets over a token that ran out before its time', async () => {
      const location = await newRepository();
      const image = newImage();
      await pushImage(on.images, location, 'one', image, testCall());
      fake.expireTokens();
      const found = await on.registry.resolve(location.repository, 'one', testCall());
      expect(found.digest).toBe(image.digest);
      expect(count(asks('GetAuthorizationToken'))).toBe(2);
    });
  });

  it('keeps an image whose tag moved away', async () => {
    const location = await newRepository();
    const [first, second] = [newImage(), newImage()];
    await pushImage(on.images, location, 'one', first, testCall());
    await pushImage(on.images, location, 'one', second, testCall());
    const { repository } = location;
    expect((await on.registry.resolve(repository, 'one', testCall())).digest).toBe(second.digest);
    const kept = await on.registry.resolve(repository, first.digest, testCall());
    expect(kept.digest).toBe(first.digest);
  });

  it('does not delete an image that an index names, and says why', async () => {
    const location = await newRepository();
    const image = newImage();
    await pushImage(on.images, location, 'one', image, testCall());
    const { mediaType } = await on.images.getManifest(location, 'one', testCall());
    const member = { mediaType, digest: image.digest, size: image.manifest.byteLength };
    const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [member] };
    const bytes = Buffer.from(JSON.stringify(index));
    await on.images.putManifest(
      location,
      'all',
      { mediaType: mediaTypes.ociIndex, bytes },
      testCall(),
    );
    const { repository } = location;
    const deleting = on.registry.deleteImage(repository, image.digest, testCall());
    await expect(deleting).rejects.toMatchObject({ code: 'conflict', retryable: false });
    await on.registry.deleteImage(repository, sha256(bytes), testCall());
    await on.registry.deleteImage(repository, image.digest, testCall());
    expect(await on.registry.listTags(repository, { limit: 1 }, testCall())).toEqual([]);
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

function basic({ credentials }: RepositoryLocation): string {
  const pair = `${credentials?.username}:${credentials?.password}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}
