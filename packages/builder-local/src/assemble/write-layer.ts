import { createHash } from 'node:crypto';
import { constants, createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import { Gzip } from 'fflate';
import { type Pack, pack } from 'tar-stream';
import { throwIfAborted, userError } from '../build-fault.ts';
import { bytesOf } from '../files/bytes-of.ts';
import { byName, type Content, type Node } from '../files/tree.ts';

const blockBytes = 128 * 1024;

export interface WrittenLayer {
  readonly path: string;
  readonly digest: string;
  readonly diffId: string;
  readonly sizeBytes: number;
}

export interface WriteLayerInput {
  readonly changes: ReadonlyMap<string, Node>;
  readonly read: (content: Content) => string | Uint8Array;
  readonly path: string;
  /** Of every entry; seconds since 1970. */
  readonly mtime: number;
  /** Of the layer before compression. */
  readonly maximumBytes: number;
  readonly signal: AbortSignal;
}

/** Writes a layer that has the same bytes wherever it is written: entries sorted, times fixed, no names of owners. */
export async function writeLayer(input: WriteLayerInput): Promise<WrittenLayer> {
  const archive = pack();
  const digests = { tar: createHash('sha256'), gzip: createHash('sha256') };
  const file = createWriteStream(input.path, { flags: 'wx', mode: 0o600 });
  const compressing = pipeline(
    bytesOf(archive),
    blocks(input.maximumBytes),
    compress(digests),
    file,
    {
      signal: input.signal,
    },
  );
  try {
    await Promise.all([compressing, writeEntries(archive, input)]);
  } catch (error) {
    archive.destroy();
    await compressing.catch(() => {});
    throwIfAborted(input.signal);
    throw error;
  }
  return {
    path: input.path,
    digest: `sha256:${digests.gzip.digest('hex')}`,
    diffId: `sha256:${digests.tar.digest('hex')}`,
    sizeBytes: file.bytesWritten,
  };
}

async function writeEntries(archive: Pack, { changes, read, mtime }: WriteLayerInput) {
  for (const [name, node] of [...changes].sort(byName)) {
    const header = {
      name,
      // tar-stream takes a mode of 0 for none and puts its default there; a bit that it masks out prevents that.
      mode: node.mode | constants.S_IFREG,
      uid: node.uid,
      gid: node.gid,
      mtime: new Date(mtime * 1000),
    };
    const content = node.kind === 'file' ? read(node.content) : undefined;
    if (node.kind === 'file' && typeof content === 'string') {
      const entry = archive.entry({ ...header, type: 'file', size: node.size });
      await pipeline(createReadStream(content), entry);
    } else if (node.kind === 'file') {
      archive.entry({ ...header, type: 'file' }, Buffer.from(content ?? ''));
    } else if (node.kind === 'symlink') {
      archive.entry({ ...header, type: 'symlink', linkname: node.target });
    } else if (node.kind === 'device') {
      archive.entry({ ...header, type: node.type, devmajor: node.major, devminor: node.minor });
    } else archive.entry({ ...header, type: 'directory' });
  }
  archive.finalize();
}

/** Blocks of one size: the compressor's output depends on how its input is cut. */
function blocks(maximumBytes: number) {
  return async function* (source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let total = 0;
    let filled = 0;
    let block = Buffer.alloc(blockBytes);
    for await (const chunk of source) {
      total += chunk.byteLength;
      if (total > maximumBytes) throw userError(`a layer is larger than ${maximumBytes} bytes`);
      for (let taken = 0; taken < chunk.byteLength; ) {
        const part = chunk.subarray(taken, taken + blockBytes - filled);
        block.set(part, filled);
        filled += part.byteLength;
        taken += part.byteLength;
        if (filled < blockBytes) continue;
        yield block;
        block = Buffer.alloc(blockBytes);
        filled = 0;
      }
    }
    yield block.subarray(0, filled);
  };
}

/**
 * Compressed in JavaScript on purpose: zlib's output differs between versions and processors
 * (Node's own chooses its hash by what the processor can do), this one's does not.
 */
function compress(digests: {
  tar: ReturnType<typeof createHash>;
  gzip: ReturnType<typeof createHash>;
}) {
  return async function* (source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let output: Uint8Array[] = [];
    const gzip = new Gzip({ level: 6, mtime: 0 }, (chunk) => output.push(chunk));
    function* take() {
      const ready = output;
      output = [];
      for (const chunk of ready) {
        digests.gzip.update(chunk);
        yield chunk;
      }
    }
    for await (const block of source) {
      digests.tar.update(block);
      gzip.push(block);
      yield* take();
      await setImmediate();
    }
    gzip.push(new Uint8Array(0), true);
    yield* take();
  };
}
