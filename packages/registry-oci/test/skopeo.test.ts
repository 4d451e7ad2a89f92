import { execFile } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { embedded } from './support/embedded.ts';
import { imageSaying, sha256, writeLayout } from './support/image.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

const run = promisify(execFile);
const present = await run('skopeo', ['--version']).then(
  () => true,
  () => false,
);
if (!present && !process.env.CI) {
  process.stderr.write('SKIPPED: skopeo is not installed, so no foreign client was tried\n');
}

/** An ordinary user without a session has no place of its own for credentials, and skopeo then fails before it asks. */
const environment = { ...process.env, REGISTRY_AUTH_FILE: '/nonexistent/auth.json' };

async function skopeo(...argv: string[]): Promise<string> {
  const parameters = ['--insecure-policy', ...argv];
  const { stdout } = await run('skopeo', parameters, { timeout: 25_000, env: environment });
  return stdout;
}

describe.skipIf(!present && !process.env.CI)('skopeo and the embedded registry', () => {
  it('pushes an image, reads it back and finds the same bytes', async () => {
    await using registry = await embedded();
    await using scratch = await temporaryDirectory();
    const image = imageSaying('carried by skopeo');
    const [there, back] = [path.join(scratch.path, 'there'), path.join(scratch.path, 'back')];
    await mkdir(there);
    await writeLayout(image, there);
    const name = `docker://${registry.host}/acme/site:one`;

    await skopeo('copy', '--dest-tls-verify=false', `oci:${there}:latest`, name);
    expect(JSON.parse(await skopeo('inspect', '--tls-verify=false', name))).toMatchObject({
      Digest: image.digest,
      RepoTags: ['one'],
    });
    await skopeo('copy', '--src-tls-verify=false', name, `oci:${back}:latest`);
    for (const bytes of [image.manifest, image.config, image.layer]) {
      const file = path.join(back, 'blobs', 'sha256', sha256(bytes).slice('sha256:'.length));
      expect(await readFile(file)).toEqual(bytes);
    }

    // Another repository of the same registry: skopeo mounts, and pushes where it cannot.
    const copy = `docker://${registry.host}/acme/copy:one`;
    await skopeo('copy', '--src-tls-verify=false', '--dest-tls-verify=false', name, copy);
    await skopeo('delete', '--tls-verify=false', name);
    await expect(skopeo('inspect', '--tls-verify=false', name)).rejects.toThrow(/manifest unknown/);
    expect(await skopeo('inspect', '--tls-verify=false', '--raw', copy)).toBe(
      image.manifest.toString(),
    );
  });

  it('is let in with the right credentials only', async () => {
    const right = `Basic ${Buffer.from('builder:s3cret').toString('base64')}`;
    await using registry = await embedded({
      authorize: async ({ authorization, action }) => {
        if (authorization !== right) return 'unauthenticated';
        return action === 'delete' ? 'forbidden' : 'allow';
      },
    });
    await using scratch = await temporaryDirectory();
    await writeLayout(imageSaying('behind a door'), scratch.path);
    const source = `oci:${scratch.path}:latest`;
    const name = `docker://${registry.host}/acme/site:one`;

    await expect(skopeo('copy', '--dest-tls-verify=false', source, name)).rejects.toThrow(
      /unauthorized|authentication required/,
    );
    await expect(
      skopeo('copy', '--dest-tls-verify=false', '--dest-creds=builder:wrong', source, name),
    ).rejects.toThrow(/authentication required/);
    await skopeo('copy', '--dest-tls-verify=false', '--dest-creds=builder:s3cret', source, name);
    const target = `dir:${path.join(scratch.path, 'out')}`;
    await skopeo('copy', '--src-tls-verify=false', '--src-creds=builder:s3cret', name, target);
    await expect(
      skopeo('delete', '--tls-verify=false', '--creds=builder:s3cret', name),
    ).rejects.toThrow(/DENIED/);
  });
});
