import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { abortedError, type BuildJob, type Call } from '@cygni/core';
import { extract } from 'tar-stream';

const maximumBytes = 256 * 1024;

/**
 * The text of the build's Dockerfile, as it stands in the source; null where it is missing, larger than 256 KiB or a link.
 * Reads the archive up to there only, and keeps nothing else of it.
 */
export async function readDockerfile(job: BuildJob, call: Call): Promise<string | null> {
  const wanted = posix.normalize(job.dockerfile);
  const archive = Readable.from(await job.source.open(call));
  const entries = extract();
  const found = new AbortController();
  const reading = pipeline(archive, createGunzip(), entries, {
    signal: AbortSignal.any([call.signal, found.signal]),
  });
  // The loop below sees the same error. Not waited for: a source that says nothing may not end when it is told to.
  reading.catch(() => {});
  const abort = () => entries.destroy(abortedError(call.signal));
  call.signal.addEventListener('abort', abort, { once: true });
  try {
    for await (const entry of entries) {
      const { name, type, size = 0 } = entry.header;
      if (type === 'file' && posix.normalize(name) === wanted) {
        return size > maximumBytes ? null : await textOf(entry);
      }
      entry.resume();
    }
    return null;
  } finally {
    call.signal.removeEventListener('abort', abort);
    found.abort();
  }
}

async function textOf(entry: AsyncIterable<unknown>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of entry) if (chunk instanceof Uint8Array) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}
