import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import type { ArtifactStore } from '../contracts/artifact-store.ts';
import type { Call } from '../contracts/call.ts';
import type { LogArchive } from '../contracts/store.ts';
import { abortedError, CygniError, isCygniError } from '../errors.ts';
import { type LogLine, logLineSchema } from '../model/log.ts';

const writtenAtOnce = 64 * 1024;
/** Far above what any line takes; bounds what a damaged artifact makes a reader hold. */
const longestLineBytes = 4 * 1024 ** 2;
const newline = 0x0a;

/** Writes a log as gzip-compressed NDJSON, one line of the log on each line, streaming. */
export async function writeLogArtifact(
  artifacts: ArtifactStore,
  { key, lines }: LogArchive,
  call: Call,
): Promise<void> {
  const gzip = createGzip();
  const compressed = pipeline(Readable.from(encode(lines)), gzip, { signal: call.signal });
  // Awaited below; a put that fails first is what is reported.
  compressed.catch(() => {});
  try {
    // The store has bounded the log already.
    await artifacts.put(key, gzip, { maximumBytes: Number.MAX_SAFE_INTEGER }, call);
    await compressed;
  } finally {
    gzip.destroy();
  }
}

/** The lines after sequence `after`, streaming. @throws `integrity` where the artifact is missing or damaged */
export async function* readLogArtifact(
  artifacts: ArtifactStore,
  key: string,
  after: number,
  call: Call,
): AsyncGenerator<LogLine> {
  const body = await artifacts.get(key, call).catch((cause: unknown) => {
    throw isCygniError(cause, 'not_found') ? damaged(cause) : cause;
  });
  const gunzip = createGunzip();
  const expanded = pipeline(Readable.from(body), gunzip, { signal: call.signal });
  expanded.catch(() => {});
  try {
    for await (const line of split(gunzip)) {
      // Written first, so that lines that are passed over need not be parsed.
      const sequence = Number(/^\{"sequence":(\d+),/.exec(line)?.[1]);
      if (sequence <= after) continue;
      yield logLineSchema.parse(JSON.parse(line));
    }
    await expanded;
  } catch (error) {
    if (call.signal.aborted) throw abortedError(call.signal);
    throw isCygniError(error) ? error : damaged(error);
  } finally {
    gunzip.destroy();
  }
}

async function* encode(lines: AsyncIterable<LogLine>): AsyncGenerator<Buffer> {
  let pending = '';
  for await (const { sequence, attempt, time, text } of lines) {
    pending += `${JSON.stringify({ sequence, attempt, time, text })}\n`;
    if (pending.length < writtenAtOnce) continue;
    yield Buffer.from(pending);
    pending = '';
  }
  yield Buffer.from(pending);
}

async function* split(bytes: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let pending: Buffer = Buffer.alloc(0);
  for await (const chunk of bytes) {
    pending = pending.byteLength === 0 ? chunk : Buffer.concat([pending, chunk]);
    let start = 0;
    for (let end = pending.indexOf(newline); end >= 0; end = pending.indexOf(newline, start)) {
      yield pending.toString('utf8', start, end);
      start = end + 1;
    }
    pending = pending.subarray(start);
    if (pending.byteLength > longestLineBytes) throw damaged();
  }
  if (pending.byteLength > 0) throw damaged();
}

function damaged(cause?: unknown): CygniError {
  return new CygniError('integrity', 'the archived log is missing or damaged', { cause });
}
