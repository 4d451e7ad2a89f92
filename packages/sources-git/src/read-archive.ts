import { pipeline, Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { CygniError } from '@cygni/core';
import { type GitRun, startGit } from './run-git.ts';

/**
 * The files of a commit as a gzip-compressed tar archive: the same bytes each time.
 * @throws while it is read: `too_large`, and what git's failure means
 */
export async function* readArchive(
  commit: string,
  maximumFilesBytes: number,
  run: GitRun,
): AsyncGenerator<Uint8Array> {
  const git = startGit(['archive', '--format=tar', commit], run);
  // It is asked for below; that it fails before is no failure that nobody handles.
  git.ended.catch(() => {});
  async function* bounded() {
    let bytes = 0;
    for await (const chunk of git.output) {
      bytes += chunk.byteLength;
      if (bytes > maximumFilesBytes) {
        throw new CygniError('too_large', `the files are over ${maximumFilesBytes} bytes`);
      }
      yield chunk;
    }
    // An archive that breaks off is not one: its end comes once git says that all is there.
    await git.ended;
  }
  const gzip = createGzip();
  pipeline(Readable.from(bounded()), gzip, () => {});
  try {
    yield* gzip;
  } finally {
    git.kill();
  }
}
