import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import path from 'node:path';

/** Makes what a directory lists survive a power failure. */
export async function syncDirectory(directory: string): Promise<void> {
  // Windows cannot open a directory.
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** With the parents it lacks, all of them durable. */
export async function makeDirectory(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true });
  if (first === undefined) return;
  for (let made = directory; made.length >= first.length; made = path.dirname(made)) {
    await syncDirectory(path.dirname(made));
  }
}

/** Whoever looks sees all of the file or none of it, also after a crash. */
export async function writeAtomically(
  scratch: string,
  file: string,
  content: string | Uint8Array,
): Promise<void> {
  const temporary = path.join(scratch, randomUUID());
  try {
    const handle = await open(temporary, 'wx');
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await publish(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Moves a file, already synced, to its final name. */
export async function publish(temporary: string, file: string): Promise<void> {
  await makeDirectory(path.dirname(file));
  await rename(temporary, file);
  await syncDirectory(path.dirname(file));
}

export async function removeIfPresent(file: string): Promise<boolean> {
  return (await unlessMissing(unlink(file).then(() => true))) ?? false;
}

export async function sizeIfPresent(file: string): Promise<number | undefined> {
  return (await unlessMissing(stat(file)))?.size;
}

export async function ageMsIfPresent(file: string): Promise<number | undefined> {
  const found = await unlessMissing(stat(file));
  return found && Date.now() - found.mtimeMs;
}

export async function namesIn(directory: string): Promise<readonly string[]> {
  return (await unlessMissing(readdir(directory))) ?? [];
}

/** Undefined where the file or its directory does not exist. */
export async function unlessMissing<Value>(promise: Promise<Value>): Promise<Value | undefined> {
  try {
    return await promise;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}
