import { EventEmitter, once } from 'node:events';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { abortedError, type Call, CygniError, type PipelineLogLine } from '@cygni/core';

const maximumLineLength = 16 * 1024;
const chunkBytes = 64 * 1024;

/** The log of one run: a file of its own, read by position while it grows and after. */
export interface RunLog {
  /** Adds one line, or several where there are line breaks. Resolves once they can be read. */
  write(text: string): Promise<void>;
  end(): Promise<void>;
  /** The lines after position `after`, until the log has ended. @throws `not_found` once it was discarded */
  read(after: number, call: Call): AsyncGenerator<PipelineLogLine>;
  /** Deletes the file; who is reading reads on. */
  discard(): Promise<void>;
}

export async function createRunLog(path: string, maximumBytes: number): Promise<RunLog> {
  const file = await open(path, 'wx', 0o600);
  const changes = new EventEmitter().setMaxListeners(0);
  let size = 0;
  let ended = false;
  let isFull = false;
  let last: Promise<void> = Promise.resolve();

  async function append(text: string): Promise<void> {
    if (ended || isFull) return;
    const time = new Date().toISOString();
    let lines = text
      .split('\n')
      .map((line) => `${time}\t${shorten(line.replace(/\r$/, ''))}\n`)
      .join('');
    if (size + Buffer.byteLength(lines) > maximumBytes) {
      isFull = true;
      lines = `${time}\t[the log is longer than ${maximumBytes} bytes; the rest is dropped]\n`;
    }
    const bytes = Buffer.from(lines);
    await file.appendFile(bytes);
    size += bytes.byteLength;
    changes.emit('change');
  }

  return {
    write(text) {
      last = last.catch(() => {}).then(() => append(text));
      return last;
    },
    async end() {
      await last.catch(() => {});
      if (ended) return;
      ended = true;
      changes.emit('change');
      await file.close();
    },
    async *read(after, call) {
      const reader = await openLog(path);
      try {
        let position = 0;
        let offset = 0;
        let rest: Buffer = Buffer.alloc(0);
        for (;;) {
          if (call.signal.aborted) throw abortedError(call.signal);
          if (offset === size) {
            if (ended) return;
            await once(changes, 'change', { signal: call.signal }).catch(() => {});
            continue;
          }
          const chunk = await readChunk(reader, offset, Math.min(chunkBytes, size - offset));
          offset += chunk.byteLength;
          rest = Buffer.concat([rest, chunk]);
          for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
            position += 1;
            const line = rest.subarray(0, end);
            rest = rest.subarray(end + 1);
            if (position > after) yield parseLine(position, line.toString('utf8'));
          }
        }
      } finally {
        await reader.close();
      }
    },
    discard: () => rm(path, { force: true }),
  };
}

async function openLog(path: string): Promise<FileHandle> {
  try {
    return await open(path);
  } catch (cause) {
    throw new CygniError('not_found', 'the log of this run is no longer kept', { cause });
  }
}

async function readChunk(reader: FileHandle, offset: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await reader.read(Buffer.alloc(length), 0, length, offset);
  return buffer.subarray(0, bytesRead);
}

function parseLine(position: number, line: string): PipelineLogLine {
  const tab = line.indexOf('\t');
  return { position, time: line.slice(0, tab), text: line.slice(tab + 1) };
}

function shorten(line: string): string {
  return line.length <= maximumLineLength ? line : `${line.slice(0, maximumLineLength)}…`;
}
