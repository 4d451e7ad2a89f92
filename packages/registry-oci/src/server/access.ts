import { SpecFailure } from './spec-failure.ts';

export interface AccessRequest {
  /** The Authorization header as it came. */
  readonly authorization: string | undefined;
  /** Null for the version check, which names none. */
  readonly repository: string | null;
  readonly action: 'pull' | 'push' | 'delete';
}

export type Access = 'allow' | 'unauthenticated' | 'forbidden';

export type Authorize = (request: AccessRequest) => Promise<Access>;

/** @throws SpecFailure 401 or 403 */
export async function assertAccess(authorize: Authorize, request: AccessRequest): Promise<void> {
  const access = await authorize(request);
  if (access === 'allow') return;
  if (access === 'unauthenticated') {
    throw new SpecFailure('UNAUTHORIZED', 'authentication required', {
      headers: { 'www-authenticate': 'Basic realm="cygni"' },
    });
  }
  throw new SpecFailure('DENIED', 'not allowed');
}
