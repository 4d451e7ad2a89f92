import { readdir } from 'node:fs/promises';
import { request } from 'node:http';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { routeOf } from '../src/server/route.ts';
import { SpecFailure } from '../src/server/spec-failure.ts';
import { embedded } from './support/embedded.ts';
import { imageSaying, sha256 } from './support/image.ts';
import { pushImage } from './support/push.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

const digest = sha256(Buffer.from('x'));
const hostile = [
  '..',
  '../..',
  '..%2f..%2f..%2fetc',
  '%2e%2e/%2e%2e',
  '.',
  'acme/..',
  'acme//site',
  '/acme',
  'acme/',
  'Acme/site',
  'acme\\..\\..',
  'acme%00',
  'acme/_blobs',
  '_uploads',
  'acme/site%0d%0aX:1',
  `${'a/'.repeat(200)}a`,
  '%',
  '%ff',
  'a..b',
  'a---.b',
];

describe('names that reach the embedded registry', () => {
  it('have the exact form of a name, or get no further than the door', async () => {
    await using around = await temporaryDirectory();
    await using registry = await embedded({ directory: path.join(around.path, 'registry') });
    await pushImage(registry, 'acme/site', 'one', imageSaying('inside'));
    const before = await filesBelow(around.path);

    for (const name of hostile) {
      for (const [method, rest] of [
        ['GET', 'manifests/one'],
        ['PUT', 'manifests/one'],
        ['DELETE', `manifests/${digest}`],
        ['GET', `blobs/${digest}`],
        ['POST', 'blobs/uploads/'],
        ['POST', `blobs/uploads/?mount=${digest}&from=../../acme/site`],
        ['GET', 'tags/list'],
        ['GET', `referrers/${digest}`],
      ] as const) {
        const status = await raw(registry.port, method, `/v2/${name}/${rest}`);
        expect([400, 404], `${method} ${name}/${rest}`).toContain(status);
      }
    }
    for (const reference of [
      '..',
      '../../x',
      '%2e%2e',
      '.hidden',
      'a:b',
      'sha256:..',
      `${digest}0`,
    ]) {
      for (const kind of ['manifests', 'blobs', 'blobs/uploads', 'referrers']) {
        for (const method of ['GET', 'PUT', 'DELETE']) {
          const status = await raw(registry.port, method, `/v2/acme/site/${kind}/${reference}`);
          expect([400, 404, 405], `${method} ${kind}/${reference}`).toContain(status);
        }
      }
    }
    expect(await filesBelow(around.path)).toEqual(before);
  });

  it('are decided on in time that grows no faster than they do', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.constantFrom('a', '-', '--', '_', '__', '.', '/', 'manifests/', '%2e', 'blobs/'),
        ),
        fc.nat(2000),
        (parts, repeat) => {
          const name = `/v2/${parts.join('').repeat(repeat).slice(0, 16_000)}!/manifests/x`;
          // The processor's time, not the clock's: a busy machine is no fault of ours.
          const started = process.cpuUsage();
          try {
            routeOf(name);
          } catch (error) {
            expect(error).toBeInstanceOf(SpecFailure);
          }
          expect(process.cpuUsage(started).user).toBeLessThan(100_000);
        },
      ),
      { numRuns: 200 },
    );
  });
});

/** Sends the path as it is: fetch would tidy it up first. */
function raw(port: number, method: string, target: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, method, path: target }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    sent.once('error', reject);
    sent.end();
  });
}

async function filesBelow(directory: string): Promise<readonly string[]> {
  return (await readdir(directory, { recursive: true })).sort();
}
