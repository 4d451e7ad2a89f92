import { mkdtemp, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { imageSaying, sha256 } from '../../../packages/registry-oci/test/support/image.ts';
import { pushImage } from '../../../packages/registry-oci/test/support/push.ts';
import { createServerProcess, type ServerProcess } from '../../demo/src/server-process.ts';
import { eventually } from './support/eventually.ts';

const image = imageSaying('no longer wanted');
const contents = [image.manifest, image.config, image.layer];
const imageBytes = contents.reduce((sum, each) => sum + each.byteLength, 0);
const patience = () => AbortSignal.timeout(60_000);

let directory: string;
let server: ReturnType<typeof createServerProcess>;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cygni-garbage-'));
  server = createServerProcess(directory, {
    ...{ BUILD_ENGINE: 'assemble', DEPLOY_RUNTIME: 'namespaces' },
    REGISTRY_GARBAGE_SECONDS: '1',
  });
});
afterEach(async () => {
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});

const blobs = () => join(directory, 'data', 'registry', 'blobs', 'sha256');

function blobFile(bytes: Uint8Array): string {
  const hex = sha256(bytes).slice('sha256:'.length);
  return join(blobs(), hex.slice(0, 2), hex);
}

async function blobsOnDisk(): Promise<number> {
  const entries = await readdir(blobs(), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).length;
}

async function metric(running: ServerProcess, series: string): Promise<number> {
  const text = await (await fetch(`${running.url}/metrics`)).text();
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${series} `))
      ?.split(' ')[1],
  );
}

/** As its tenant would, with nothing but HTTP. */
function registryOf({ url, token }: ServerProcess) {
  const authorization = `Basic ${btoa(`me:${token}`)}`;
  return {
    authorization,
    url: (path: string) => `${url}/v2/${path}`,
    delete: (path: string) =>
      fetch(`${url}/v2/${path}`, { method: 'DELETE', headers: { authorization } }),
  };
}

describe('the reference server with an embedded registry', () => {
  it('frees the disk of an image that was deleted', async () => {
    const running = await server.start(patience());
    const registry = registryOf(running);
    await pushImage(registry, 'default/site', 'one', image);
    expect(await blobsOnDisk()).toBe(3);

    const deleted = await registry.delete(`default/site/manifests/${image.digest}`);
    expect(deleted.status).toBe(202);
    await makeOld();
    await eventually(async () => (await blobsOnDisk()) === 0 || undefined, patience());
    await eventually(async () => {
      const freed = await metric(running, 'cygni_registry_freed_bytes_total');
      return freed === imageBytes || undefined;
    }, patience());
    expect(
      await metric(running, 'cygni_registry_collections_total{result="succeeded"}'),
    ).toBeGreaterThan(0);
    await eventually(async () => {
      const log = await readFile(running.logFile, 'utf8');
      return log.includes(`"freedBytes":${imageBytes}`) || undefined;
    }, patience());
  });

  it('logs a collection that fails, and collects again', async () => {
    const running = await server.start(patience());
    const registry = registryOf(running);
    await pushImage(registry, 'default/site', 'kept', imageSaying('kept'));
    await pushImage(registry, 'default/site', 'one', image);
    await registry.delete(`default/site/manifests/${image.digest}`);
    const unreadable = blobFile(imageSaying('kept').manifest);
    await rename(unreadable, `${unreadable}.away`);
    await makeOld();
    const failed = 'cygni_registry_collections_total{result="failed"}';
    await eventually(async () => (await metric(running, failed)) > 0 || undefined, patience());
    expect((await stat(blobFile(image.layer))).size).toBe(image.layer.byteLength);

    await rename(`${unreadable}.away`, unreadable);
    await eventually(async () => (await blobsOnDisk()) === 3 || undefined, patience());
    await eventually(async () => {
      const log = await readFile(running.logFile, 'utf8');
      return log.includes('the garbage of the registry could not be collected') || undefined;
    }, patience());
  });
});

/** So that nothing is spared for being new. */
async function makeOld(): Promise<void> {
  const past = new Date(Date.now() - 2 * 60 * 60 * 1000);
  const root = join(directory, 'data', 'registry');
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  await Promise.all(files.map((each) => utimes(join(each.parentPath, each.name), past, past)));
}
