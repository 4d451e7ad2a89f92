import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { CygniError } from '../errors.ts';
import type { SealingKey } from './options.ts';

const cipher = 'aes-256-gcm';
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
const prefix = 'cygni.sealed.';
/** Version, key id, and nonce, tag and ciphertext in base64url. */
const rest = /^1\.([\w-]{1,64})\.([\w-]{38,})$/;

/** What a sealed value belongs to: it opens nowhere else. */
export interface SealedPlace {
  readonly tenantId: string;
  readonly kind: 'build argument' | 'environment variable';
  readonly name: string;
}

export interface Sealer {
  /** With the first key, and never twice to the same text. */
  seal(value: string, place: SealedPlace): string;
  /**
   * What was sealed; a text that never was is given back as it is.
   * @throws `integrity` where its key is not there, or it was changed or moved. Names the variable and tells no value
   */
  open(text: string, place: SealedPlace): string;
}

/** AES-256-GCM under keys that are made of `keys` for this purpose alone. */
export function createSealer(keys: readonly [SealingKey, ...SealingKey[]]): Sealer {
  const secrets = new Map(
    keys.map(({ id, key }) => [
      id,
      Buffer.from(hkdfSync('sha256', key, '', 'cygni sealed values', keyBytes)),
    ]),
  );
  const first = keys[0].id;

  function secretOf(id: string, place: SealedPlace): Buffer {
    const secret = secrets.get(id);
    if (!secret) throw unreadable(place, `its key ${id} is not there`);
    return secret;
  }

  return {
    seal(value, place) {
      const nonce = randomBytes(nonceBytes);
      const sealing = createCipheriv(cipher, secretOf(first, place), nonce).setAAD(bytesOf(place));
      const text = Buffer.concat([sealing.update(value, 'utf8'), sealing.final()]);
      const sealed = Buffer.concat([nonce, sealing.getAuthTag(), text]);
      return `${prefix}1.${first}.${sealed.toString('base64url')}`;
    },
    open(text, place) {
      if (!text.startsWith(prefix)) return text;
      const [, id, body] = rest.exec(text.slice(prefix.length)) ?? [];
      if (id === undefined || body === undefined) throw unreadable(place, 'it was changed');
      const secret = secretOf(id, place);
      const sealed = Buffer.from(body, 'base64url');
      const nonce = sealed.subarray(0, nonceBytes);
      const opening = createDecipheriv(cipher, secret, nonce, { authTagLength: tagBytes })
        .setAAD(bytesOf(place))
        .setAuthTag(sealed.subarray(nonceBytes, nonceBytes + tagBytes));
      try {
        const start = opening.update(sealed.subarray(nonceBytes + tagBytes));
        return Buffer.concat([start, opening.final()]).toString('utf8');
      } catch {
        throw unreadable(place, 'it was changed');
      }
    },
  };
}

/** No two places have the same. */
function bytesOf({ tenantId, kind, name }: SealedPlace): Buffer {
  return Buffer.from(JSON.stringify([tenantId, kind, name]));
}

function unreadable({ kind, name }: SealedPlace, why: string): CygniError {
  return new CygniError('integrity', `the ${kind} ${name} cannot be opened: ${why}`);
}
