import { writeFile } from 'node:fs/promises';
import type { RepositoryLocation } from '@cygni/core';

/** Writes a file of credentials as containers' tools read it; with null one that has none, so that the machine's own are not used. */
export async function writeAuthFile(path: string, location: RepositoryLocation | null) {
  const credentials = location?.credentials;
  const auths = credentials
    ? {
        [location.host]: {
          auth: Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64'),
        },
      }
    : {};
  await writeFile(path, JSON.stringify({ auths }), { mode: 0o600 });
}
