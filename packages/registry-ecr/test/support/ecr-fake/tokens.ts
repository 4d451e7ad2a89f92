import { randomBytes } from 'node:crypto';

/** Tokens that were really issued, and that end. */
export function createTokens(now: () => number, lifetimeMs: () => number) {
  const issued = new Map<string, number>();
  return {
    issue() {
      const token = randomBytes(64).toString('base64url');
      const expiresAt = now() + lifetimeMs();
      issued.set(token, expiresAt);
      return { token, expiresAt };
    },
    /** @param authorization the header as it came */
    judge(authorization: string | undefined): 'good' | 'expired' | 'unknown' {
      const encoded = /^Basic (.+)$/.exec(authorization ?? '')?.[1] ?? '';
      const [username, token = ''] = Buffer.from(encoded, 'base64').toString('utf8').split(':');
      const expiresAt = issued.get(token);
      if (username !== 'AWS' || expiresAt === undefined) return 'unknown';
      return now() < expiresAt ? 'good' : 'expired';
    },
    expireAll() {
      for (const token of issued.keys()) issued.set(token, 0);
    },
  };
}

export type Tokens = ReturnType<typeof createTokens>;
