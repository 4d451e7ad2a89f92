import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { CygniError } from '@cygni/core';

const run = promisify(execFile);

/** How PostgreSQL's programs are run: they refuse to run as root. */
export interface Launcher {
  command(program: string, args: readonly string[]): readonly [file: string, args: string[]];
  readonly user: { readonly uid: number; readonly gid: number } | null;
  /** Makes the files in the directory belong to who runs the programs. */
  prepare(directory: string): Promise<void>;
}

const direct: Launcher = {
  command: (program, args) => [program, [...args]],
  user: null,
  async prepare() {},
};

/**
 * As an ordinary user: as is. As root: in a user namespace in which root has an ordinary user's number, so that the
 * files stay root's; where the system forbids that, as `nobody`, who then owns the directory.
 * @throws `unsupported`
 */
export async function chooseLauncher(
  directory: string,
  { namespaces = true }: { readonly namespaces?: boolean } = {},
): Promise<Launcher> {
  if (process.getuid?.() !== 0) return direct;
  const users = await readUsers();
  const ordinary = users.find(({ uid }) => uid > 0);
  if (namespaces && ordinary && process.platform === 'linux') {
    const flags = ['--user', `--map-user=${ordinary.uid}`, `--map-group=${ordinary.gid}`, '--'];
    if (await succeeds('unshare', [...flags, 'true'])) {
      return { ...direct, command: (program, args) => ['unshare', [...flags, program, ...args]] };
    }
  }
  const nobody = users.find(({ name }) => name === 'nobody');
  if (!nobody) {
    throw new CygniError(
      'unsupported',
      'PostgreSQL does not run as root, and there is no other user',
    );
  }
  await mustReach(directory);
  return {
    ...direct,
    user: nobody,
    async prepare(path) {
      await run('chown', ['-R', `${nobody.uid}:${nobody.gid}`, path]);
    },
  };
}

async function readUsers(): Promise<
  readonly { readonly name: string; readonly uid: number; readonly gid: number }[]
> {
  const lines = (await readFile('/etc/passwd', 'utf8').catch(() => '')).split('\n');
  return lines.flatMap((line) => {
    const [name, , uid, gid] = line.split(':');
    return name && uid && gid ? [{ name, uid: Number(uid), gid: Number(gid) }] : [];
  });
}

async function succeeds(file: string, args: readonly string[]): Promise<boolean> {
  try {
    await run(file, args, { timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}

async function mustReach(directory: string): Promise<void> {
  const othersMayEnter = 0o001;
  for (let path = dirname(directory); path !== dirname(path); path = dirname(path)) {
    if (((await stat(path)).mode & othersMayEnter) === 0) {
      const message = `PostgreSQL does not run as root, and the user nobody cannot enter ${path}; choose another data directory or run as an ordinary user`;
      throw new CygniError('unsupported', message);
    }
  }
}
