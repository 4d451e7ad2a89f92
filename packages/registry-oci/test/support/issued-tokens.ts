import { randomUUID } from 'node:crypto';
import type { RegistryAction, RegistryCredentials } from '@cygni/core';
import type { Authorize } from '../../src/index.ts';

export interface IssuedTokens {
  readonly authorize: Authorize;
  issue(repository: string, actions: readonly RegistryAction[]): RegistryCredentials;
  elapse(seconds: number): void;
}

/** Passwords that open one repository for some actions and for some time, on a clock of their own. */
export function issuingTokens({ lifetimeSeconds }: { lifetimeSeconds: number }): IssuedTokens {
  const issued = new Map<
    string,
    { repository: string; actions: readonly RegistryAction[]; goodUntil: number }
  >();
  let offset = 0;
  const now = () => Date.now() + offset;
  return {
    elapse(seconds) {
      offset += seconds * 1000;
    },
    issue(repository, actions) {
      const password = randomUUID();
      const goodUntil = now() + lifetimeSeconds * 1000;
      issued.set(password, { repository, actions, goodUntil });
      const expiresAt = new Date(goodUntil).toISOString();
      return { username: 'builder', password, expiresAt, reach: 'repository' };
    },
    async authorize({ authorization, repository, action }) {
      const pair = Buffer.from(authorization?.replace(/^Basic /, '') ?? '', 'base64').toString();
      const token = issued.get(pair.slice(pair.indexOf(':') + 1));
      if (!token || token.goodUntil <= now()) return 'unauthenticated';
      if (repository === null) return 'allow';
      return token.repository === repository && token.actions.includes(action)
        ? 'allow'
        : 'forbidden';
    },
  };
}
