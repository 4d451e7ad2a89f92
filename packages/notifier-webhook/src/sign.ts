import { createHmac } from 'node:crypto';
import { bytesOfSecret } from './derive-secret.ts';

/** By Standard Webhooks: `v1,` and the HMAC-SHA256 of id, time (seconds since the epoch) and body. */
export function sign(secret: string, id: string, seconds: number, body: string): string {
  const hash = createHmac('sha256', bytesOfSecret(secret)).update(`${id}.${seconds}.${body}`);
  return `v1,${hash.digest('base64')}`;
}
