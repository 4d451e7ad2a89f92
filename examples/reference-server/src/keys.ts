import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writePrivately } from './signing-key.ts';

/** A key, named after itself: servers with the same key agree on the name, and one with another does not. */
export interface NamedKey {
  readonly id: string;
  readonly key: Uint8Array;
}

export type KeyPurpose = 'webhook' | 'sealing';

const keyBytes = 32;
const keyText = /^[A-Za-z0-9+/]{43}=$/;

/** Separated by commas, the one for new things first. */
export const keyListSchema = z
  .string()
  .transform((list) => list.split(/\s*,\s*/))
  .pipe(z.array(z.string().regex(keyText, '32 bytes in base64, several with commas between them')));

export function nameKey(purpose: KeyPurpose, text: string): NamedKey {
  const key = Buffer.from(text, 'base64');
  const id = createHash('sha256').update(`cygni ${purpose} key `).update(key).digest('hex');
  return { id: id.slice(0, 16), key };
}

/** The key in the file `<purpose>-key` of the data directory; made on the first start. */
export async function loadKey(purpose: KeyPurpose, dataDirectory: string): Promise<NamedKey> {
  const path = join(dataDirectory, `${purpose}-key`);
  const stored = await readStored(purpose, path);
  if (stored !== undefined) return nameKey(purpose, stored);
  const made = randomBytes(keyBytes).toString('base64');
  await writePrivately(path, made);
  return nameKey(purpose, made);
}

async function readStored(purpose: KeyPurpose, path: string): Promise<string | undefined> {
  try {
    const text = (await readFile(path, 'utf8')).trim();
    if (keyText.test(text)) return text;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  throw new Error(`${path} is not a ${purpose} key; restore it, or remove it to get a new one`);
}
