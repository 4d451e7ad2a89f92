import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { bundle } from '../../bundle.ts';
import type { Cluster } from './cluster.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../../..', import.meta.url));

/** Builds the proxy's Dockerfile with kaniko on the cluster itself, unless its registry has it. */
export async function proxyImage(cluster: Cluster): Promise<string> {
  const scratch = await mkdtemp(path.join(tmpdir(), 'cygni-proxy-image-'));
  try {
    const context = path.join(scratch, 'context');
    // What a pod without a network needs, and no more.
    for (const each of [
      'packages/registry-proxy/src',
      'packages/registry-proxy/bundle.ts',
      'packages/registry-proxy/Dockerfile',
      'packages/registry-proxy/package.json',
      'node_modules/esbuild',
      'node_modules/@esbuild',
      'node_modules/zod',
    ]) {
      await mkdir(path.dirname(path.join(context, each)), { recursive: true });
      await cp(path.join(root, each), path.join(context, each), { recursive: true });
    }
    await bundle(path.join(scratch, 'proxy.cjs'));
    const hash = createHash('sha256')
      .update(await readFile(path.join(scratch, 'proxy.cjs')))
      .update(await readFile(path.join(context, 'packages/registry-proxy/Dockerfile')));
    const tag = hash.digest('hex').slice(0, 16);
    const image = `${cluster.registry}/cygni/registry-proxy:${tag}`;
    const manifest = `http://${cluster.registry}/v2/cygni/registry-proxy/manifests/${tag}`;
    if ((await fetch(manifest, { method: 'HEAD' })).ok) return image;

    const archive = path.join(scratch, 'context.tar.gz');
    await run('tar', ['--create', '--gzip', '--file', archive, '--directory', context, '.']);
    await build(cluster, archive, image);
    return image;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function build(cluster: Cluster, archive: string, image: string): Promise<void> {
  const name = 'proxy-image';
  await cluster.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      dnsPolicy: 'Default',
      containers: [
        {
          name: 'kaniko',
          image: cluster.kanikoImage,
          stdin: true,
          stdinOnce: true,
          args: [
            '--context=tar://stdin',
            '--dockerfile=packages/registry-proxy/Dockerfile',
            `--destination=${image}`,
            '--build-arg=RUNTIME_IMAGE=node:24',
            '--insecure',
            `--insecure-registry=${cluster.registry}`,
            `--registry-mirror=${cluster.registry}`,
          ],
        },
      ],
    },
  });
  await cluster.kubectl('wait', '--for=condition=Ready', 'pod', name, '--timeout=60s');
  await cluster.feed(name, 'kaniko', archive);
  const deadline = performance.now() + 240_000;
  for (;;) {
    const phase = await cluster.kubectl('get', 'pod', name, '--output=jsonpath={.status.phase}');
    if (phase === 'Succeeded') return;
    if (phase === 'Failed' || performance.now() > deadline) {
      throw new Error(`the proxy's image: ${await cluster.kubectl('logs', name)}`);
    }
    await wait(500);
  }
}
