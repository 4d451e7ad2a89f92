import { createHash, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import type { BuildSource } from '@cygni/core';
import { runProgram } from './run-program.ts';

export interface SourceServer extends AsyncDisposable {
  /** PEM of the authority that vouches for it. */
  readonly certificateAuthority: string;
  /** Serves an archive of these files. Its address has a signature, as a presigned one has. */
  source(files: Readonly<Record<string, string | Uint8Array>>): Promise<BuildSource>;
}

/** Stands in for an artifact store that presigns: serves archives by https, under a private authority. */
export async function startSourceServer(address: string): Promise<SourceServer> {
  const directory = await mkdtemp(join(tmpdir(), 'cygni-sources-'));
  const at = (name: string) => join(directory, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await runProgram('openssl', [
    ...['req', '-x509', ...key, '-days', '2', '-subj', '/CN=Cygni test authority'],
    ...['-keyout', at('ca.key'), '-out', at('ca.pem')],
  ]);
  await runProgram('openssl', [
    ...['req', ...key, '-subj', '/CN=sources', '-keyout', at('server.key'), '-out', at('csr')],
  ]);
  await writeFile(at('extensions'), `subjectAltName=IP:${address}\n`);
  await runProgram('openssl', [
    ...['x509', '-req', '-in', at('csr'), '-CA', at('ca.pem'), '-CAkey', at('ca.key')],
    ...['-CAcreateserial', '-days', '2', '-extfile', at('extensions'), '-out', at('server.pem')],
  ]);
  const archives = new Map<string, Buffer>();
  const server = createServer(
    { key: await readFile(at('server.key')), cert: await readFile(at('server.pem')) },
    (request, response) => {
      const url = new URL(request.url ?? '/', 'https://sources');
      const archive = archives.get(url.pathname);
      if (!url.searchParams.get('signature')) response.writeHead(403).end();
      else if (archive) response.writeHead(200, { 'content-length': archive.length }).end(archive);
      else response.writeHead(404).end();
    },
  );
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const { port } = server.address() as AddressInfo;

  return {
    certificateAuthority: await readFile(at('ca.pem'), 'utf8'),

    async source(files) {
      const id = randomUUID();
      for (const [path, content] of Object.entries(files)) {
        await mkdir(dirname(at(`${id}/${path}`)), { recursive: true });
        await writeFile(at(`${id}/${path}`), content);
      }
      await mkdir(at(id), { recursive: true });
      await runProgram('tar', ['-czf', at(`${id}.tar.gz`), '-C', at(id), '.']);
      const archive = await readFile(at(`${id}.tar.gz`));
      archives.set(`/${id}.tar.gz`, archive);
      return {
        sizeBytes: archive.length,
        sha256: createHash('sha256').update(archive).digest('hex'),
        open: async () => Readable.from([archive]),
        presign: async () =>
          new URL(`https://${address}:${port}/${id}.tar.gz?signature=${randomUUID()}`),
      };
    },

    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(directory, { recursive: true });
    },
  };
}
