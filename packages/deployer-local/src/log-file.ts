import { copyFile, open, stat, truncate } from 'node:fs/promises';
import { statOrNull } from './inside-root.ts';
import { systemCode } from './map-error.ts';

const blockBytes = 64 * 1024;
const maximumTailBytes = 4 * 1024 * 1024;

/**
 * Keeps a log that a process writes by itself from growing without bound: past `maximumBytes` it becomes `<path>.1`,
 * of which there is one, and starts anew. Lines written in that very moment may be lost.
 */
export async function boundLog(path: string, maximumBytes: number): Promise<void> {
  try {
    if ((await stat(path)).size <= maximumBytes) return;
    await copyTail(path, `${path}.1`, maximumBytes);
    await truncate(path, 0);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}

/** The newest lines, oldest first, of a log and its predecessor; reads no more than is needed, and at most 4 MiB. */
export async function tailLog(path: string, lines: number): Promise<string[]> {
  const newest = await tailFile(path, lines);
  if (newest.length >= lines) return newest;
  const older = await tailFile(`${path}.1`, lines - newest.length);
  return [...older, ...newest];
}

async function tailFile(path: string, lines: number): Promise<string[]> {
  if (lines <= 0 || !(await statOrNull(path))) return [];
  const file = await open(path, 'r');
  try {
    const blocks: Buffer[] = [];
    let position = (await file.stat()).size;
    let newlines = 0;
    let size = 0;
    while (position > 0 && newlines <= lines && size < maximumTailBytes) {
      const length = Math.min(blockBytes, position);
      position -= length;
      const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, position);
      const block = buffer.subarray(0, bytesRead);
      for (const byte of block) if (byte === 10) newlines += 1;
      size += bytesRead;
      blocks.unshift(block);
    }
    const text = Buffer.concat(blocks).toString('utf8');
    const found = (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n');
    return text === '' ? [] : found.slice(-lines).map((line) => line.replace(/\r$/, ''));
  } finally {
    await file.close();
  }
}

async function copyTail(from: string, to: string, maximumBytes: number): Promise<void> {
  const { size } = await stat(from);
  if (size <= 2 * maximumBytes) {
    await copyFile(from, to);
    return;
  }
  const source = await open(from, 'r');
  const target = await open(to, 'w', 0o600);
  try {
    const stream = source.createReadStream({
      start: size - maximumBytes,
      end: size - 1,
      autoClose: false,
    });
    await target.writeFile(stream);
  } finally {
    await source.close();
    await target.close();
  }
}
