import { buffer } from 'node:stream/consumers';
import { constants, createGzip } from 'node:zlib';
import { pack } from 'tar-stream';

/** A source archive: gzip-compressed tar, the way users upload it. */
export async function packArchive(
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<Uint8Array<ArrayBuffer>> {
  const archive = pack();
  const packed = buffer(archive.pipe(createGzip({ level: constants.Z_BEST_SPEED })));
  for (const [name, content] of Object.entries(files)) {
    archive.entry({ name }, typeof content === 'string' ? content : Buffer.from(content));
  }
  archive.finalize();
  return new Uint8Array(await packed);
}
