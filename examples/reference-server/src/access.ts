import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  isCygniError,
  type Logger,
  type RegistryAction,
  type RegistryCredentials,
} from '@cygni/core';
import {
  type Authenticator,
  createAuthenticator,
  createTokenIssuer,
  type Scope,
  scopes,
  type TokenIssuer,
  type TrustedIssuer,
} from '@cygni/http';
import {
  loadSigningKey,
  type SigningKey,
  signingAlgorithm,
  writePrivately,
} from './signing-key.ts';

const issuer = 'cygni';
const audience = 'cygni';
const ownerTokenSeconds = 60 * 86_400;
/** Longer than the longest build. */
const imageTokenSeconds = 3 * 3_600;

export interface Access {
  readonly authenticator: Authenticator;
  /** Short-lived credentials for one repository of the embedded registry. */
  imageCredentials(
    repository: string,
    actions: readonly RegistryAction[],
  ): Promise<RegistryCredentials>;
  /** Whether the bearer of a basic or bearer authorization may act on a repository of the embedded registry. */
  authorizeImage(request: {
    readonly authorization: string | undefined;
    readonly repository: string | null;
    readonly action: RegistryAction;
  }): Promise<'allow' | 'unauthenticated' | 'forbidden'>;
}

/**
 * Tokens signed by the key in the data directory, and those of foreign issuers. Writes a ready-to-use one to
 * `<data directory>/token`. Images are only opened by the server's own.
 */
export async function openAccess(
  dataDirectory: string,
  foreign: readonly TrustedIssuer[],
  log: Logger,
): Promise<Access> {
  const keys = await loadSigningKey(dataDirectory);
  const own: TrustedIssuer = {
    issuer,
    audience,
    key: keys.publicKey,
    algorithms: [signingAlgorithm],
  };
  const authenticator = createAuthenticator({ issuers: [own, ...foreign], log });
  const tokens = openTokenIssuer(keys);
  await keepOwnerToken(join(dataDirectory, 'token'), authenticator, tokens);

  return {
    authenticator,
    async imageCredentials(repository, actions) {
      const expiresAt = new Date(Date.now() + imageTokenSeconds * 1000).toISOString();
      const password = await tokens.issue({
        tenantId: repository.split('/')[0] ?? '',
        subject: 'platform',
        scopes: actions.map(scopeOf),
        repository,
        expiresInSeconds: imageTokenSeconds,
      });
      return { username: 'cygni', password, expiresAt, reach: 'repository' };
    },
    async authorizeImage({ authorization, repository, action }) {
      const token = tokenOf(authorization);
      if (token === undefined) return 'unauthenticated';
      try {
        const principal = await authenticator.verify(token);
        if (repository === null) return 'allow';
        const own = principal.repository
          ? principal.repository === repository
          : repository.startsWith(`${principal.tenantId}/`);
        return own && principal.scopes.has(scopeOf(action)) ? 'allow' : 'forbidden';
      } catch (error) {
        if (isCygniError(error, 'unauthenticated')) return 'unauthenticated';
        throw error;
      }
    },
  };
}

/** Signs tokens that the server with this key accepts. */
export function openTokenIssuer({ privateKey }: SigningKey): TokenIssuer {
  return createTokenIssuer({ issuer, audience, key: privateKey, algorithm: signingAlgorithm });
}

function scopeOf(action: RegistryAction): Scope {
  return action === 'pull' ? 'images:read' : 'images:write';
}

function tokenOf(authorization: string | undefined): string | undefined {
  const [scheme, value] = authorization?.split(' ') ?? [];
  if (value === undefined) return undefined;
  if (scheme?.toLowerCase() === 'bearer') return value;
  if (scheme?.toLowerCase() !== 'basic') return undefined;
  const pair = Buffer.from(value, 'base64').toString('utf8');
  return pair.slice(pair.indexOf(':') + 1);
}

/** Keeps a token that is still good, so that scripts which read it once go on working. */
async function keepOwnerToken(
  path: string,
  authenticator: Authenticator,
  tokens: TokenIssuer,
): Promise<void> {
  try {
    const { expiresAt } = await authenticator.verify((await readFile(path, 'utf8')).trim());
    if (expiresAt * 1000 - Date.now() > (ownerTokenSeconds * 1000) / 2) return;
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (!missing && !isCygniError(error, 'unauthenticated')) throw error;
  }
  const token = await tokens.issue({
    tenantId: 'default',
    subject: 'owner',
    scopes,
    expiresInSeconds: ownerTokenSeconds,
  });
  await writePrivately(path, `${token}\n`);
}
