import type { EcrRegistryOptions } from '@cygni/registry-ecr';
import { createEcrRegistry } from '@cygni/registry-ecr';
import { createImageClient } from '@cygni/registry-oci';
import { z } from 'zod';

const variablesSchema = z.object({
  ECR_REGISTRY: z.string('the host of a registry: <account>.dkr.ecr.<region>.amazonaws.com'),
  AWS_TEST_PREFIX: z
    .string('what the names of repositories begin with that the test may create and delete')
    .regex(/^[a-z0-9]+(?:[._-][a-z0-9]+)*$/, 'one path component of a repository name'),
  /** For an emulator, whose host says neither this nor that, and which speaks plain HTTP. */
  ECR_EMULATOR_ENDPOINT: z.url().optional(),
  AWS_REGION: z.string().default('us-east-1'),
  AWS_ACCOUNT_ID: z.string().default('123456789012'),
});

/** @throws Error that says what is missing */
export function readAccount() {
  const parsed = variablesSchema.safeParse(process.env);
  if (!parsed.success) {
    const missing = parsed.error.issues.map(
      ({ path, message }) => `  ${path.join('.')}: ${message}`,
    );
    throw new Error(
      `NOTHING WAS TESTED ON AWS. It needs credentials that the AWS SDK finds, and\n${missing.join('\n')}`,
    );
  }
  const variables = parsed.data;
  const endpoint = variables.ECR_EMULATOR_ENDPOINT;
  const options: EcrRegistryOptions = {
    host: variables.ECR_REGISTRY,
    ...(endpoint !== undefined && {
      endpoint,
      insecure: true,
      region: variables.AWS_REGION,
      registryId: variables.AWS_ACCOUNT_ID,
    }),
  };
  return { options, prefix: variables.AWS_TEST_PREFIX };
}

export function registryOnAws(repositories: EcrRegistryOptions['repositories'] = {}) {
  const { options } = readAccount();
  const images = createImageClient();
  const registry = createEcrRegistry({ ...options, repositories });
  return {
    registry,
    images,
    async [Symbol.asyncDispose]() {
      await registry.close();
      await images.close();
    },
  };
}
