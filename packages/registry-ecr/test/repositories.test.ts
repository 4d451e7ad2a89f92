import { setupServer } from 'msw/node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testCall } from './support/call.ts';
import { awsError, registryOnWire, standingForAws } from './support/wire.ts';

// msw stands for AWS here.
const server = setupServer();
beforeAll(() => server.listen({ onUnhandledFrame: 'error' }));
afterEach(() => server.resetHandlers());
afterAll(() => server.close());

const missing = () => awsError('RepositoryNotFoundException');
const target = { registryId: '123456789012', repositoryName: 'acme/site' };

describe('a repository', () => {
  it('that is there is looked at and left alone', async () => {
    const aws = standingForAws({ DescribeRepositories: () => ({ repositories: [{}] }) });
    server.use(aws.handler);
    await using registry = registryOnWire({ repositories: { tags: 'immutable' } });
    await registry.ensureRepository('acme/site', testCall());
    expect(aws.operations()).toEqual(['DescribeRepositories']);
  });

  it('is created as the account has it where nothing is asked for', async () => {
    const aws = standingForAws({ DescribeRepositories: missing, CreateRepository: () => ({}) });
    server.use(aws.handler);
    await using registry = registryOnWire();
    await registry.ensureRepository('acme/site', testCall());
    expect(aws.asked.at(-1)).toEqual({ operation: 'CreateRepository', input: target });
  });

  it('is created with all that is asked for', async () => {
    const aws = standingForAws({
      DescribeRepositories: missing,
      CreateRepository: () => ({}),
      GetLifecyclePolicy: () => awsError('LifecyclePolicyNotFoundException'),
      PutLifecyclePolicy: () => ({}),
      GetRepositoryPolicy: () => awsError('RepositoryPolicyNotFoundException'),
      SetRepositoryPolicy: () => ({}),
    });
    server.use(aws.handler);
    const lifecyclePolicy = { rules: [{ rulePriority: 1 }] };
    const policy = { Version: '2012-10-17', Statement: [] };
    await using registry = registryOnWire({
      repositories: {
        tags: 'immutable',
        scanOnPush: true,
        encryption: { type: 'KMS', keyId: 'alias/images' },
        resourceTags: { team: 'platform' },
        lifecyclePolicy,
        policy,
      },
    });
    await registry.ensureRepository('acme/site', testCall());
    const inputs = Object.fromEntries(aws.asked.map(({ operation, input }) => [operation, input]));
    expect(inputs.CreateRepository).toEqual({
      ...target,
      imageTagMutability: 'IMMUTABLE',
      imageScanningConfiguration: { scanOnPush: true },
      encryptionConfiguration: { encryptionType: 'KMS', kmsKey: 'alias/images' },
      tags: [{ Key: 'team', Value: 'platform' }],
    });
    expect(inputs.PutLifecyclePolicy).toEqual({
      ...target,
      lifecyclePolicyText: JSON.stringify(lifecyclePolicy),
    });
    expect(inputs.SetRepositoryPolicy).toEqual({ ...target, policyText: JSON.stringify(policy) });
  });

  it('keeps the policy that it has, and is asked for it once', async () => {
    const aws = standingForAws({
      DescribeRepositories: () => ({ repositories: [{}] }),
      GetLifecyclePolicy: () => ({ lifecyclePolicyText: '{}' }),
    });
    server.use(aws.handler);
    await using registry = registryOnWire({ repositories: { lifecyclePolicy: { rules: [] } } });
    await registry.ensureRepository('acme/site', testCall());
    await registry.ensureRepository('acme/site', testCall());
    expect(aws.operations()).toEqual([
      'DescribeRepositories',
      'GetLifecyclePolicy',
      'DescribeRepositories',
    ]);
  });

  it('gets the policy that an earlier call did not come to', async () => {
    const puts = [{}, awsError('AccessDeniedException')];
    const aws = standingForAws({
      DescribeRepositories: () => ({ repositories: [{}] }),
      GetLifecyclePolicy: () => awsError('LifecyclePolicyNotFoundException'),
      PutLifecyclePolicy: () => puts.pop() ?? {},
    });
    server.use(aws.handler);
    await using registry = registryOnWire({ repositories: { lifecyclePolicy: { rules: [] } } });
    const ensure = () => registry.ensureRepository('acme/site', testCall());
    await expect(ensure()).rejects.toMatchObject({ code: 'forbidden' });
    await ensure();
    expect(puts).toEqual([]);
  });

  it('that another created in the meantime will do', async () => {
    const aws = standingForAws({
      DescribeRepositories: missing,
      CreateRepository: () => awsError('RepositoryAlreadyExistsException'),
    });
    server.use(aws.handler);
    await using registry = registryOnWire();
    await registry.ensureRepository('acme/site', testCall());
    expect(aws.operations()).toEqual(['DescribeRepositories', 'CreateRepository']);
  });

  it('that may not be created says so', async () => {
    const aws = standingForAws({
      DescribeRepositories: missing,
      CreateRepository: () => awsError('LimitExceededException'),
    });
    server.use(aws.handler);
    await using registry = registryOnWire();
    await expect(registry.ensureRepository('acme/site', testCall())).rejects.toMatchObject({
      code: 'rate_limited',
      retryable: false,
    });
  });

  it.each(['a', 'acme//site', 'acme/', 'acme/site__x', 'acme/Site', `a/${'x'.repeat(255)}`])(
    'is not called %j at ECR',
    async (name) => {
      await using registry = registryOnWire();
      await expect(registry.ensureRepository(name, testCall())).rejects.toMatchObject({
        code: 'invalid_input',
      });
    },
  );
});
