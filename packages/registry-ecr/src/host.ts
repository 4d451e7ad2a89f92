/** What the name of a private registry says. */
export interface RegistryName {
  /** The account's 12 digits. */
  readonly registryId: string;
  readonly region: string;
  readonly fips: boolean;
  readonly dualStack: boolean;
}

// The suffixes of AWS's partitions, as in docs.aws.amazon.com/general/latest/gr/ecr.html and
// github.com/awslabs/amazon-ecr-credential-helper: commercial and GovCloud, China, Europe, isolated.
const form =
  /^(\d{12})\.dkr[.-]ecr(-fips)?\.([a-z]{2,4}(?:-[a-z]+){1,3}-\d)\.(?:amazonaws\.(?:com|com\.cn|eu)|(on\.(?:aws|amazonwebservices\.com\.cn))|sc2s\.sgov\.gov|c2s\.ic\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)$/;

/** Undefined for a host that is not one of AWS's. */
export function parseRegistryName(host: string): RegistryName | undefined {
  const [, registryId, fips, region, dualStack] = form.exec(host) ?? [];
  if (registryId === undefined || region === undefined) return undefined;
  return { registryId, region, fips: fips !== undefined, dualStack: dualStack !== undefined };
}

/** Whether two names mean one registry: it has several, for FIPS and for IPv6. */
export function isSameRegistry(one: string, other: string): boolean {
  const [left, right] = [parseRegistryName(one), parseRegistryName(other)];
  if (!left || !right) return one === other;
  return left.registryId === right.registryId && left.region === right.region;
}
