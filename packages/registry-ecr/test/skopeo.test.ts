import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { motoIsMissing } from '../../artifacts-s3/test/support/moto.ts';
import { imageSaying, sha256, writeLayout } from '../../registry-oci/test/support/image.ts';
import { testCall } from './support/call.ts';
import { faultFor } from './support/ecr-fake/faults.ts';
import {
  type EcrBackend,
  type EcrFake,
  startEcrBackend,
  startEcrFake,
} from './support/ecr-fake/start-ecr-fake.ts';
import { registryOn } from './support/registry.ts';

const run = promisify(execFile);
const present = await run('skopeo', ['--version']).then(
  () => true,
  () => false,
);
if (!present && !process.env.CI) {
  process.stderr.write('SKIPPED: skopeo is not installed, so no foreign client was tried on ECR\n');
}

/** An ordinary user without a session has no place of its own for credentials, and skopeo then fails before it asks. */
const environment = { ...process.env, REGISTRY_AUTH_FILE: '/nonexistent/auth.json' };

async function skopeo(...argv: string[]): Promise<string> {
  const parameters = ['--insecure-policy', ...argv];
  const { stdout } = await run('skopeo', parameters, { timeout: 60_000, env: environment });
  return stdout;
}

describe.skipIf(motoIsMissing || (!present && !process.env.CI))(
  'skopeo and the fake of ECR',
  () => {
    let backend: EcrBackend;
    let fake: EcrFake;
    let on: ReturnType<typeof registryOn>;
    let directory: string;
    beforeAll(async () => {
      backend = await startEcrBackend();
      fake = await startEcrFake(backend);
      on = registryOn(fake, { repositories: { tags: 'immutable' } });
      directory = await mkdtemp(join(tmpdir(), 'cygni-skopeo-'));
      await on.registry.ensureRepository('acme/skopeo', testCall());
    });
    afterAll(async () => {
      await rm(directory, { recursive: true, force: true });
      await on?.[Symbol.asyncDispose]();
      await fake?.[Symbol.asyncDispose]();
      await backend?.[Symbol.asyncDispose]();
    });

    async function layoutSaying(text: string) {
      const image = imageSaying(text);
      const path = join(directory, image.digest.slice(7, 19));
      await mkdir(path);
      await writeLayout(image, path);
      return { image, source: `oci:${path}:latest` };
    }
    async function signedIn(): Promise<string> {
      const { username, password } = await on.registry.credentials(
        'acme/skopeo',
        ['push'],
        testCall(),
      );
      return `${username}:${password}`;
    }
    const push = async (source: string, name: string, creds: string) =>
      skopeo('copy', '--dest-tls-verify=false', `--dest-creds=${creds}`, source, name);

    it('pushes an image that is resolved here, and reads the same bytes back', async () => {
      const { image, source } = await layoutSaying('carried to ECR by skopeo');
      const name = `docker://${fake.host}/acme/skopeo:one`;
      const creds = await signedIn();
      await push(source, name, creds);
      const found = await on.registry.resolve('acme/skopeo', 'one', testCall());
      expect(found.digest).toBe(image.digest);
      const seen = await skopeo('inspect', '--tls-verify=false', `--creds=${creds}`, name);
      expect(JSON.parse(seen)).toMatchObject({ Digest: image.digest, RepoTags: ['one'] });

      const back = join(directory, 'back');
      await skopeo(
        'copy',
        '--src-tls-verify=false',
        `--src-creds=${creds}`,
        name,
        `oci:${back}:latest`,
      );
      const layer = join(back, 'blobs', 'sha256', sha256(image.layer).slice('sha256:'.length));
      expect(await readFile(layer)).toEqual(image.layer);
      // Through the redirect.
      expect(fake.seen.some(({ method, url }) => method === 'GET' && url.includes('/blobs/'))).toBe(
        true,
      );
    });

    it('is told that an immutable tag is taken', async () => {
      const name = `docker://${fake.host}/acme/skopeo:taken`;
      const [first, second] = [await layoutSaying('first'), await layoutSaying('second')];
      await push(first.source, name, await signedIn());
      const pushing = push(second.source, name, await signedIn());
      await expect(pushing).rejects.toThrow(/tag invalid.*cannot be overwritten/s);
    });

    it('is told that the repository does not exist, and that it may not come in', async () => {
      const { source } = await layoutSaying('homeless');
      const name = `docker://${fake.host}/acme/nowhere:one`;
      await expect(push(source, name, await signedIn())).rejects.toThrow(/does not exist/);
      await expect(push(source, name, 'AWS:wrong')).rejects.toThrow(
        /unauthorized|Not Authorized|authentication required/,
      );
    });

    it('stops at a token that runs out in mid-push, and is done with a new one', async () => {
      const { image, source } = await layoutSaying('late');
      const name = `docker://${fake.host}/acme/skopeo:late`;
      fake.fault = ({ method, url }) => {
        if (method === 'PUT' && url.includes('/manifests/')) fake.expireTokens();
        return undefined;
      };
      await expect(push(source, name, await signedIn())).rejects.toThrow(/token has expired/);
      fake.fault = () => undefined;
      fake.elapse(10 * 3600);
      await push(source, name, await signedIn());
      const found = await on.registry.resolve('acme/skopeo', 'late', testCall());
      expect(found.digest).toBe(image.digest);
    });

    it('gets over a moment of throttling', async () => {
      const { image, source } = await layoutSaying('throttled');
      const body = '{"errors":[{"code":"TOOMANYREQUESTS","message":"Rate exceeded"}]}';
      fake.fault = faultFor(({ method }) => method === 'POST', {
        kind: 'answer',
        status: 429,
        body,
      });
      const creds = await signedIn();
      const name = `docker://${fake.host}/acme/skopeo:throttled`;
      await skopeo(
        'copy',
        '--retry-times=3',
        '--dest-tls-verify=false',
        `--dest-creds=${creds}`,
        source,
        name,
      );
      const found = await on.registry.resolve('acme/skopeo', 'throttled', testCall());
      expect(found.digest).toBe(image.digest);
    });
  },
);
