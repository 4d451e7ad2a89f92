import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import type { BuildJob } from '@cygni/core';
import fc from 'fast-check';
import { pack } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { ownRepositories } from '../src/base-images/own-repositories.ts';
import { readDockerfile } from '../src/base-images/read-dockerfile.ts';
import { testCall } from './log/following.ts';

const job: BuildJob = {
  buildId: 'b',
  attempt: 1,
  tenantId: 'acme',
  source: {
    sizeBytes: 1,
    sha256: '',
    open: () => Promise.reject(new Error('unused')),
    presign: () => Promise.reject(new Error('unused')),
  },
  dockerfile: 'Dockerfile',
  target: null,
  buildArguments: { GIVEN: 'acme/given' },
  machine: 'small',
  timeoutSeconds: 60,
  destination: { host: 'registry.test:5000', repository: 'acme/site', insecure: false },
};
const of = (...lines: string[]) => ownRepositories(lines.join('\n'), job);

describe('the repositories that a Dockerfile takes images from', () => {
  it('are those of FROM and COPY --from, by tag, by digest or by neither', () => {
    expect(
      of(
        '# FROM registry.test:5000/acme/comment',
        'FROM --platform=linux/amd64 registry.test:5000/acme/base:1 AS base',
        `from registry.test:5000/acme/team/tools@sha256:${'a'.repeat(64)}`,
        'COPY --chown=1:1 --from=registry.test:5000/acme/files /a /b',
        'COPY --from=base /c /d',
        'RUN echo registry.test:5000/acme/only-printed',
      ),
    ).toEqual(['acme/base', 'acme/team/tools', 'acme/files']);
  });

  it('may be named by arguments, and on a continued line', () => {
    expect(
      of(
        'ARG HOST=registry.test:5000',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: Dockerfiles write their arguments so
        'ARG BASE=${HOST}/acme/base TAG',
        'ARG GIVEN=acme/default',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: Dockerfiles write their arguments so
        'FROM $BASE:${TAG:-1} AS one',
        'FROM "$HOST/$GIVEN" AS two',
        'FROM \\',
        '  registry.test:5000/acme/continued \\',
        '  AS three',
      ),
    ).toEqual(['acme/base', 'acme/given', 'acme/continued']);
  });

  it('are the tenant’s own in the registry that it pushes to, and no others', () => {
    expect(
      of(
        'FROM registry.test:5000/other/base',
        'FROM registry.test:5000/acme2/base',
        'FROM registry.test:5000/acme/../other/base',
        'FROM registry.test:5000/acme/%2e%2e/other',
        'FROM registry.test:5000/acme',
        'FROM registry.test:50001/acme/base',
        'FROM docker.io/acme/base',
        'FROM acme/base',
        'FROM registry.test:5000/acme/site:1',
      ),
    ).toEqual([]);
  });

  it('are the tenant’s own whatever the Dockerfile says, and not too many', () => {
    const words = [
      'FROM ',
      'ARG A=',
      '$A',
      '${A:-',
      '}',
      'registry.test:5000',
      '/',
      'acme',
      'x',
      '..',
    ];
    const noise = fc.array(fc.oneof(fc.constantFrom(...words, '\n', ':', '@'), fc.string()));
    fc.assert(
      fc.property(noise, (parts) => {
        const found = of(parts.join(''));
        expect(found.length).toBeLessThanOrEqual(20);
        for (const each of found) expect(each).toMatch(/^acme(\/[a-z0-9][a-z0-9._-]*)+$/);
      }),
    );
    const many = Array.from({ length: 50 }, (_, n) => `FROM registry.test:5000/acme/r${n}`);
    expect(of(...many)).toHaveLength(20);
  });

  it('are found in hostile lines in no time, and without growing', () => {
    const began = performance.now();
    of(`FROM registry.test:5000/acme/${'a-'.repeat(60_000)}`, `FROM ${'${A:-'.repeat(20_000)}`);
    of(...Array.from({ length: 20_000 }, () => `FROM ${':'.repeat(500)}`));
    const doubling = Array.from({ length: 60 }, (_, n) => `ARG A${n + 1}=$A${n}$A${n}`);
    of('ARG A0=xx', ...doubling, 'FROM registry.test:5000/acme/$A60');
    expect(performance.now() - began).toBeLessThan(2_000);
  }, 10_000);
});

describe('the Dockerfile of a source', () => {
  function from(files: Readonly<Record<string, string>>, dockerfile = 'Dockerfile') {
    const archive = pack();
    for (const [name, content] of Object.entries(files)) archive.entry({ name }, content);
    archive.finalize();
    const open = async () => Readable.from(archive).pipe(createGzip());
    return readDockerfile({ ...job, dockerfile, source: { ...job.source, open } }, testCall());
  }

  it('is read wherever it is in the archive', async () => {
    const large = 'x'.repeat(3_000_000);
    expect(await from({ './Dockerfile': 'FROM a', 'later/file': large })).toBe('FROM a');
    expect(await from({ large, 'docker/web': 'FROM b' }, './docker/web')).toBe('FROM b');
  });

  it('is nothing where it is missing or too large', async () => {
    expect(await from({ other: 'x' })).toBe(null);
    expect(await from({ Dockerfile: 'x'.repeat(300_000) })).toBe(null);
  });

  it('is not waited for once the call is over, and rejects what is no archive', async () => {
    const endless = async () =>
      (async function* () {
        yield new Uint8Array(0);
        await new Promise(() => {});
      })();
    const source = { ...job.source, open: endless };
    const call = testCall(AbortSignal.timeout(50));
    await expect(readDockerfile({ ...job, source }, call)).rejects.toThrow();
    const broken = async () => Readable.from([Buffer.from('no gzip')]);
    const other = { ...job.source, open: broken };
    await expect(readDockerfile({ ...job, source: other }, testCall())).rejects.toThrow();
  }, 10_000);
});
