export { createEcrRegistry } from './create-ecr-registry.ts';
export type { AwsCredentials, EcrRegistryOptions } from './options.ts';
