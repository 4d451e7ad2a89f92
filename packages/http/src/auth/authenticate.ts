import { CygniError } from '@cygni/core';
import type { Request, RequestHandler } from 'express';
import { contextOf } from '../request-context.ts';
import type { Authenticator } from './authenticator.ts';
import type { Principal, Scope } from './principal.ts';

const bearer = /^Bearer ([A-Za-z0-9._~+/=-]+)$/i;

/** Lets a request through that carries a good bearer token. */
export function authenticate(authenticator: Authenticator): RequestHandler {
  return async (request, _response, next) => {
    const token = bearer.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined) throw new CygniError('unauthenticated', 'a bearer token is needed');
    contextOf(request).principal = await authenticator.verify(token);
    next();
  };
}

/** The principal of a request, if it may do what `scope` says. @throws `unauthenticated`, `forbidden` */
export function principalWith(request: Request, scope: Scope): Principal {
  const { principal } = contextOf(request);
  if (!principal) throw new CygniError('unauthenticated', 'a bearer token is needed');
  if (!principal.scopes.has(scope) || principal.repository !== null) {
    throw new CygniError('forbidden', `the token lacks the scope ${scope}`);
  }
  return principal;
}
