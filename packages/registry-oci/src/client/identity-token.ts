import type { RegistryCredentials } from '@cygni/core';

/** How Docker's credential helpers say that what goes with it is an identity token and no password. */
export const identityTokenUser = '<token>';

export function isIdentityToken({ username }: RegistryCredentials): boolean {
  return username === identityTokenUser;
}
