import { copyFile, cp, mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create } from 'tar';

const helloSite = fileURLToPath(new URL('../../hello-site', import.meta.url));

/** The hello-site with esbuild's platform binary beside its Dockerfile, as a gzip-compressed tar archive. */
export async function packHelloSite(directory: string): Promise<Uint8Array<ArrayBuffer>> {
  const context = join(directory, 'hello-site');
  await mkdir(context);
  await cp(helloSite, context, { recursive: true });
  await copyFile(findEsbuild(), join(context, 'esbuild'));
  const archive = create({ gzip: true, portable: true, cwd: context }, ['.']);
  const chunks: Uint8Array[] = [];
  for await (const chunk of archive) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

function findEsbuild(): string {
  if (process.platform !== 'linux') {
    throw new Error(
      "the demo's image carries esbuild's binary for Linux, which npm installs on Linux only",
    );
  }
  const fromEsbuild = createRequire(createRequire(import.meta.url).resolve('esbuild'));
  return fromEsbuild.resolve(`@esbuild/linux-${process.arch}/bin/esbuild`);
}
