import { isCygniError } from '@cygni/core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { motoIsMissing } from '../../artifacts-s3/test/support/moto.ts';
import { readAccount } from '../aws/account.ts';
import cleanUp from '../aws/clean-up.ts';
import { testCall } from './support/call.ts';
import {
  type EcrBackend,
  type EcrFake,
  startEcrBackend,
  startEcrFake,
} from './support/ecr-fake/start-ecr-fake.ts';
import { newImage, pushImage } from './support/image.ts';
import { registryOn } from './support/registry.ts';

describe('the account that test:aws runs on', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it('must be named, and a prefix with it', () => {
    vi.stubEnv('ECR_REGISTRY', undefined);
    vi.stubEnv('AWS_TEST_PREFIX', undefined);
    expect(readAccount).toThrow(/NOTHING WAS TESTED ON AWS.*ECR_REGISTRY.*AWS_TEST_PREFIX/s);
  });

  it.each(['', 'a/b', '/', 'UPPER', '..'])('takes no prefix like %j', (prefix) => {
    vi.stubEnv('ECR_REGISTRY', '123456789012.dkr.ecr.eu-west-1.amazonaws.com');
    vi.stubEnv('AWS_TEST_PREFIX', prefix);
    expect(readAccount).toThrow(/AWS_TEST_PREFIX/);
  });
});

describe.skipIf(motoIsMissing)('what test:aws leaves behind, on a fake of ECR over moto', () => {
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
    vi.stubEnv('ECR_REGISTRY', fake.host);
    vi.stubEnv('ECR_EMULATOR_ENDPOINT', fake.endpoint);
    vi.stubEnv('AWS_TEST_PREFIX', 'cygni-test');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'not-a-secret');
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await on?.[Symbol.asyncDispose]();
    await fake?.[Symbol.asyncDispose]();
  });

  /** Whether it is still there. */
  async function exists(repository: string): Promise<boolean> {
    try {
      return (await on.registry.listTags(repository, { limit: 1 }, testCall())).length > 0;
    } catch (error) {
      if (isCygniError(error, 'not_found')) return false;
      throw error;
    }
  }

  async function newRepository(repository: string): Promise<string> {
    const { registry, images } = on;
    await registry.ensureRepository(repository, testCall());
    const credentials = await registry.credentials(repository, ['push'], testCall());
    const location = { host: registry.host, insecure: registry.insecure, repository, credentials };
    await pushImage(images, location, 'one', newImage(), testCall());
    return repository;
  }

  it('is deleted with its images, and nothing of anybody else', async () => {
    let prefix = '';
    const tearDown = await cleanUp({
      provide(name, value) {
        if (name === 'prefix') prefix = String(value);
      },
    });
    expect(prefix).toMatch(/^cygni-test\/[0-9a-f]{8}$/);
    const own = [await newRepository(`${prefix}/one`), await newRepository(`${prefix}/deep/two`)];
    const foreign = [
      await newRepository('cygni-test/another-run/one'),
      await newRepository(`${prefix}-of-another/one`),
      await newRepository(`acme/${prefix}/one`),
    ];
    await tearDown();
    for (const repository of own) expect(await exists(repository)).toBe(false);
    for (const repository of foreign) expect(await exists(repository)).toBe(true);
  });
});
