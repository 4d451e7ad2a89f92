import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { BuildSource, Call } from '@cygni/core';
import { BuildFault, throwIfAborted } from '../build-fault.ts';

/** Streams the source archive to `path`. @throws BuildFault unless it is the archive that was uploaded */
export async function receiveArchive(source: BuildSource, path: string, call: Call): Promise<void> {
  const hash = createHash('sha256');
  let size = 0;
  async function* verified(body: AsyncIterable<Uint8Array>) {
    for await (const chunk of body) {
      size += chunk.byteLength;
      if (size > source.sizeBytes) throw differs('it is longer than it was');
      hash.update(chunk);
      yield chunk;
    }
  }
  try {
    const body = await source.open(call);
    await pipeline(verified(body), createWriteStream(path, { flags: 'wx', mode: 0o600 }), {
      signal: call.signal,
    });
  } catch (error) {
    throwIfAborted(call.signal);
    if (error instanceof BuildFault) throw error;
    throw new BuildFault('platform_error', 'cannot read the source archive', { cause: error });
  }
  if (size !== source.sizeBytes) throw differs('it is shorter than it was');
  if (hash.digest('hex') !== source.sha256) throw differs('its digest is another');
}

function differs(how: string): BuildFault {
  return new BuildFault('platform_error', `the source archive is not the one uploaded: ${how}`);
}
