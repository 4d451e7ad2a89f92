import {
  DescribeImageScanFindingsCommand,
  type DescribeImageScanFindingsResponse,
  type EnhancedImageScanFinding,
  type ImageScanFinding,
} from '@aws-sdk/client-ecr';
import { type Call, CygniError } from '@cygni/core';
import type { EcrApi } from './ecr-api.ts';

export interface ScanFinding {
  /** `CVE-2026-1234` */
  readonly name: string;
  /** `CRITICAL`, `HIGH`, `MEDIUM`, `LOW`, `INFORMATIONAL`, `UNDEFINED`, `UNTRIAGED` */
  readonly severity: string;
  /** What is vulnerable. Null: the scan does not say. */
  readonly package: string | null;
  readonly version: string | null;
  /** Known to enhanced scanning only. */
  readonly fixedIn: string | null;
  readonly url: string | null;
}

export interface ScanReport {
  /** `unavailable`: the scan failed, or AWS cannot scan such an image or no longer does. */
  readonly status: 'complete' | 'pending' | 'unavailable';
  /** AWS's own word and sentence, where there is one. */
  readonly reason: string;
  /** How many findings there are by severity, those included that are left off below. */
  readonly counts: Readonly<Record<string, number>>;
  readonly findings: readonly ScanFinding[];
  /** Whether there are more than were asked for. */
  readonly more: boolean;
}

/** ECR's own limit for one answer. */
const pageSize = 1_000;

const statuses: Readonly<Record<string, ScanReport['status']>> = {
  COMPLETE: 'complete',
  // Enhanced scanning goes on for ever, and what it has found so far is complete.
  ACTIVE: 'complete',
  IN_PROGRESS: 'pending',
  PENDING: 'pending',
};

/** Reads pages until it has `limit` findings. @throws `not_found`: no such image, or it was never scanned */
export async function readScanFindings(
  { client, retry, registryId }: EcrApi,
  repository: string,
  digest: string,
  { limit }: { readonly limit: number },
  call: Call,
): Promise<ScanReport> {
  if (!Number.isInteger(limit) || limit < 1) {
    throw new CygniError('invalid_input', 'the limit is a positive integer');
  }
  const findings: ScanFinding[] = [];
  let first: DescribeImageScanFindingsResponse | undefined;
  let nextToken: string | undefined;
  do {
    const command = new DescribeImageScanFindingsCommand({
      registryId,
      repositoryName: repository,
      imageId: { imageDigest: digest },
      maxResults: Math.min(pageSize, limit),
      ...(nextToken === undefined ? {} : { nextToken }),
    });
    const page = await retry(`scan of ${repository}@${digest}`, call, () =>
      client.send(command, { abortSignal: call.signal }),
    );
    first ??= page;
    const { findings: basic = [], enhancedFindings = [] } = page.imageScanFindings ?? {};
    findings.push(...basic.map(basicFinding), ...enhancedFindings.map(enhancedFinding));
    nextToken = page.nextToken;
  } while (nextToken !== undefined && findings.length < limit);
  const { status = 'unknown', description } = first.imageScanStatus ?? {};
  return {
    status: statuses[status] ?? 'unavailable',
    reason: description ? `${status}: ${description}` : status,
    counts: { ...first.imageScanFindings?.findingSeverityCounts },
    findings: findings.slice(0, limit),
    more: nextToken !== undefined || findings.length > limit,
  };
}

function basicFinding({ name, severity, uri, attributes = [] }: ImageScanFinding): ScanFinding {
  const attribute = (key: string) => attributes.find((each) => each.key === key)?.value ?? null;
  return {
    name: name ?? 'unnamed',
    severity: severity ?? 'UNDEFINED',
    package: attribute('package_name'),
    version: attribute('package_version'),
    fixedIn: null,
    url: uri ?? null,
  };
}

function enhancedFinding(finding: EnhancedImageScanFinding): ScanFinding {
  const details = finding.packageVulnerabilityDetails;
  const [vulnerable] = details?.vulnerablePackages ?? [];
  return {
    name: details?.vulnerabilityId ?? finding.title ?? 'unnamed',
    severity: finding.severity ?? 'UNDEFINED',
    package: vulnerable?.name ?? null,
    version: vulnerable?.version ?? null,
    fixedIn: vulnerable?.fixedInVersion ?? null,
    url: details?.sourceUrl ?? null,
  };
}
