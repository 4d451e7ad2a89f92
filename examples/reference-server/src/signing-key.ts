import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CryptoKey, exportJWK, generateKeyPair, importJWK } from 'jose';
import { z } from 'zod';

export const signingAlgorithm = 'EdDSA';
const fileName = 'signing-key.json';

const storedKeySchema = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
  d: z.string(),
});

export interface SigningKey {
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
}

/** The key in the data directory; made on the first start. */
export async function loadSigningKey(dataDirectory: string): Promise<SigningKey> {
  const path = join(dataDirectory, fileName);
  return importKeys((await readStored(path)) ?? (await createKey(path)));
}

/** The key in the data directory; null: no server has started there yet. */
export async function findSigningKey(dataDirectory: string): Promise<SigningKey | null> {
  const stored = await readStored(join(dataDirectory, fileName));
  return stored ? importKeys(stored) : null;
}

async function importKeys(stored: z.output<typeof storedKeySchema>): Promise<SigningKey> {
  const { d: _private, ...publicPart } = stored;
  return { privateKey: await importKey(stored), publicKey: await importKey(publicPart) };
}

async function importKey(jwk: { kty: string; crv: string; x: string; d?: string }) {
  const key = await importJWK(jwk, signingAlgorithm);
  if (key instanceof Uint8Array) throw new TypeError('not an asymmetric key');
  return key;
}

async function readStored(path: string): Promise<z.output<typeof storedKeySchema> | undefined> {
  try {
    return storedKeySchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    // The parse error could quote the key.
    throw new Error(`${path} is not a signing key; restore it, or remove it to get a new one`);
  }
}

async function createKey(path: string): Promise<z.output<typeof storedKeySchema>> {
  const { privateKey } = await generateKeyPair(signingAlgorithm, {
    crv: 'Ed25519',
    extractable: true,
  });
  const key = storedKeySchema.parse(await exportJWK(privateKey));
  await writePrivately(path, JSON.stringify(key));
  return key;
}

/** Writes a whole file that only its owner may read, or nothing. */
export async function writePrivately(path: string, content: string): Promise<void> {
  const temporary = `${path}.new`;
  await writeFile(temporary, content, { mode: 0o600 });
  await rename(temporary, path);
}
