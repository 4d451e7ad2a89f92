export { createEcrRegistry, type EcrRegistry } from './create-ecr-registry.ts';
export type { AwsCredentials, EcrRegistryOptions } from './options.ts';
export type { ScanFinding, ScanReport } from './scan-findings.ts';
