import { setupServer } from 'msw/node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testCall } from './support/call.ts';
import { awsError, registryOnWire, sha256, standingForAws } from './support/wire.ts';

// msw stands for AWS here.
const server = setupServer();
beforeAll(() => server.listen({ onUnhandledFrame: 'error' }));
afterEach(() => server.resetHandlers());
afterAll(() => server.close());

const registry = registryOnWire();
afterAll(() => registry.close());
const digest = sha256('image');
const read = (limit: number) => registry.scanFindings('acme/site', digest, { limit }, testCall());

describe('the scan of an image in ECR', () => {
  it('tells what basic scanning found', async () => {
    const finding = {
      name: 'CVE-2026-1',
      severity: 'HIGH',
      uri: 'https://security.example/CVE-2026-1',
      attributes: [
        { key: 'package_version', value: '1.2' },
        { key: 'package_name', value: 'openssl' },
      ],
    };
    const aws = standingForAws({
      DescribeImageScanFindings: () => ({
        imageScanStatus: { status: 'COMPLETE', description: 'The scan was completed.' },
        imageScanFindings: { findingSeverityCounts: { HIGH: 1 }, findings: [finding] },
      }),
    });
    server.use(aws.handler);
    expect(await read(10)).toEqual({
      status: 'complete',
      reason: 'COMPLETE: The scan was completed.',
      counts: { HIGH: 1 },
      findings: [
        {
          name: 'CVE-2026-1',
          severity: 'HIGH',
          package: 'openssl',
          version: '1.2',
          fixedIn: null,
          url: 'https://security.example/CVE-2026-1',
        },
      ],
      more: false,
    });
    expect(aws.asked[0]?.input).toEqual({
      registryId: '123456789012',
      repositoryName: 'acme/site',
      imageId: { imageDigest: digest },
      maxResults: 10,
    });
  });

  it('tells what enhanced scanning found, which goes on for ever', async () => {
    const packageVulnerabilityDetails = {
      vulnerabilityId: 'CVE-2026-2',
      sourceUrl: 'https://security.example/CVE-2026-2',
      vulnerablePackages: [{ name: 'zlib', version: '1.0', fixedInVersion: '1.1' }],
    };
    const aws = standingForAws({
      DescribeImageScanFindings: () => ({
        imageScanStatus: { status: 'ACTIVE' },
        imageScanFindings: {
          findingSeverityCounts: { CRITICAL: 1 },
          enhancedFindings: [
            { severity: 'CRITICAL', title: 'zlib', packageVulnerabilityDetails },
            { severity: 'LOW', title: 'a port is open' },
          ],
        },
      }),
    });
    server.use(aws.handler);
    const { status, findings } = await read(10);
    expect(status).toBe('complete');
    expect(findings).toEqual([
      {
        name: 'CVE-2026-2',
        severity: 'CRITICAL',
        package: 'zlib',
        version: '1.0',
        fixedIn: '1.1',
        url: 'https://security.example/CVE-2026-2',
      },
      {
        name: 'a port is open',
        severity: 'LOW',
        package: null,
        version: null,
        fixedIn: null,
        url: null,
      },
    ]);
  });

  it('is read page by page, up to what was asked for', async () => {
    const all = Array.from({ length: 2_500 }, (_, index) => ({ name: `CVE-${index}` }));
    const aws = standingForAws({
      DescribeImageScanFindings: ({ nextToken, maxResults }) => {
        const start = Number(nextToken ?? 0);
        const end = start + Number(maxResults);
        return {
          imageScanStatus: { status: 'COMPLETE' },
          imageScanFindings: { findings: all.slice(start, end) },
          ...(end < all.length && { nextToken: `${end}` }),
        };
      },
    });
    server.use(aws.handler);
    const some = await read(1_500);
    expect(some.findings.map(({ name }) => name)).toEqual(
      all.slice(0, 1_500).map((each) => each.name),
    );
    expect(some.more).toBe(true);
    expect(aws.asked).toHaveLength(2);
    expect(await read(2_500)).toMatchObject({ more: false, findings: { length: 2_500 } });
    await expect(read(0)).rejects.toMatchObject({ code: 'invalid_input' });
  });

  it.each([
    ['IN_PROGRESS', 'pending'],
    ['FAILED', 'unavailable'],
    ['UNSUPPORTED_IMAGE', 'unavailable'],
    ['A_WORD_OF_NEXT_YEAR', 'unavailable'],
  ])('that is %s is %s', async (word, status) => {
    const answer = { imageScanStatus: { status: word, description: 'so it is' } };
    server.use(standingForAws({ DescribeImageScanFindings: () => answer }).handler);
    expect(await read(1)).toMatchObject({ status, reason: `${word}: so it is`, findings: [] });
  });

  it('that never was is not found, and is not asked for again', async () => {
    const aws = standingForAws({
      DescribeImageScanFindings: () => awsError('ScanNotFoundException'),
    });
    server.use(aws.handler);
    await expect(read(1)).rejects.toMatchObject({ code: 'not_found', retryable: false });
    expect(aws.asked).toHaveLength(1);
  });
});
