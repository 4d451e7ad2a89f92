import { userError } from '../build-fault.ts';
import { followPath } from '../files/resolve-path.ts';
import type { Content, DirectoryNode, Owner } from '../files/tree.ts';

const maximumBytes = 1024 ** 2;
const numeric = /^[0-9]{1,10}$/;

export type ReadContent = (content: Content) => Promise<Uint8Array>;

/**
 * `user`, `user:group`, `uid`, `uid:gid`; names are looked up in the image's own passwd and group files.
 * A number without a group is its own group, a name has the group of its passwd line.
 * @throws BuildFault for a name that is not there
 */
export async function resolveOwner(
  text: string,
  root: DirectoryNode,
  read: ReadContent,
): Promise<Owner> {
  const [user = '', group, ...more] = text.split(':');
  if (more.length > 0 || user === '') throw userError(`${JSON.stringify(text)} is not a user`);
  const owner = await findUser();
  if (group === undefined || group === '') return owner;
  if (numeric.test(group)) return { uid: owner.uid, gid: id(group) };
  const line = await findLine('etc/group', group);
  if (!line) throw userError(`the image has no group ${JSON.stringify(group)}`);
  return { uid: owner.uid, gid: id(line[2]) };

  async function findUser(): Promise<Owner> {
    if (numeric.test(user)) return { uid: id(user), gid: id(user) };
    const line = await findLine('etc/passwd', user);
    if (!line) throw userError(`the image has no user ${JSON.stringify(user)}`);
    return { uid: id(line[2]), gid: id(line[3]) };
  }

  async function findLine(path: string, name: string): Promise<readonly string[] | undefined> {
    const file = followPath(root, path);
    if (file?.kind !== 'file') return undefined;
    if (file.size > maximumBytes) throw userError(`/${path} of the image is larger than 1 MiB`);
    const text = Buffer.from(await read(file.content)).toString('utf8');
    return text
      .split('\n')
      .map((line) => line.split(':'))
      .find(([first]) => first === name);
  }
}

function id(text: string | undefined): number {
  const value = Number(text);
  if (text === undefined || !numeric.test(text) || value > 0xffff_fffe) {
    throw userError(`${JSON.stringify(text)} is not a user or group number`);
  }
  return value;
}
