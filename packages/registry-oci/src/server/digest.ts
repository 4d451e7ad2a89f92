import { createHash } from 'node:crypto';

/** The algorithms that the OCI image spec registers. */
export type DigestAlgorithm = 'sha256' | 'sha512';

export const digestAlgorithms: readonly DigestAlgorithm[] = ['sha256', 'sha512'];

const form = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

export function isDigest(value: string): boolean {
  return form.test(value);
}

export function algorithmOf(digest: string): DigestAlgorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256';
}

export function hexOf(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1);
}

/** Undefined for what is no digest's name: files are named by the hex alone, whose length tells the algorithm. */
export function digestOfHex(hex: string): string | undefined {
  const digest = hex.length === 128 ? `sha512:${hex}` : `sha256:${hex}`;
  return isDigest(digest) ? digest : undefined;
}

export function digestOf(algorithm: DigestAlgorithm, bytes: Uint8Array): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}
