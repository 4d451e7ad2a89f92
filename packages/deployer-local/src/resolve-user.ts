import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { CygniError } from '@cygni/core';
import { statOrNull } from './inside-root.ts';
import { systemCode } from './map-error.ts';

export interface ImageUser {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups, from the image's /etc/group. */
  readonly groups: readonly number[];
}

const maximumBytes = 1024 * 1024;

/**
 * Looks the image's USER up in the image's own /etc/passwd and /etc/group.
 * @throws `invalid_input` for a name that is not there
 */
export async function resolveUser(root: string, user: string): Promise<ImageUser> {
  const [name = '', groupName] = user.split(':');
  const accounts = await readTable(root, 'passwd');
  const groups = await readTable(root, 'group');
  const account = accounts.find((fields) => fields[0] === name || fields[2] === name);
  const uid = name === '' ? 0 : (toId(name) ?? toId(account?.[2]));
  if (uid === undefined) throw unknown('user', name);
  if (groupName) {
    const gid = toId(groupName) ?? toId(groups.find((fields) => fields[0] === groupName)?.[2]);
    if (gid === undefined) throw unknown('group', groupName);
    return { uid, gid, groups: [] };
  }
  const gid = toId(account?.[3]) ?? 0;
  const memberships = groups
    .filter((fields) => account?.[0] && fields[3]?.split(',').includes(account[0]))
    .map((fields) => toId(fields[2]))
    .filter((id) => id !== undefined);
  return { uid, gid, groups: memberships.slice(0, 64) };
}

function toId(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,5}$/.test(text)) return undefined;
  const id = Number(text);
  return id < 65_535 ? id : undefined;
}

function unknown(what: string, name: string): CygniError {
  return new CygniError('invalid_input', `the image has no ${what} ${JSON.stringify(name)}`);
}

async function readTable(root: string, name: string): Promise<string[][]> {
  if (!(await statOrNull(join(root, 'etc')))?.isDirectory()) return [];
  let file: Awaited<ReturnType<typeof open>>;
  try {
    // A link of the image would lead to the same path of this machine.
    file = await open(join(root, 'etc', name), constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ELOOP') return [];
    throw error;
  }
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(maximumBytes), 0, maximumBytes, 0);
    const text = buffer.toString('utf8', 0, bytesRead);
    return text.split('\n').map((line) => line.split(':'));
  } finally {
    await file.close();
  }
}
