import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { temporaryDirectory } from './temporary-directory.ts';

export interface DebianRegistry extends AsyncDisposable {
  readonly host: string;
  readonly pid: number;
  /** Ends the server. Idempotent. */
  stop(): Promise<void>;
}

/** As the registry's configuration names it: whose tokens it takes. */
export interface TokenAuth {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  /** Path of the authorities, PEM. */
  readonly rootcertbundle: string;
}

const startWithinMs = 20_000;
export const debianCredentials = { username: 'cygni', password: 'not-a-secret' };
/** bcrypt of the password above, as its htpasswd file wants it. */
const htpasswd = 'cygni:$2y$05$abcdefghijklmnopqrstuuVPNOToLP9MHdthRCXkVoiIF0qNKnk2G\n';

/** Whether Debian's docker-registry is here. Where it must be (CI), everything that needs it runs, and fails without. */
export async function debianRegistryPresent(): Promise<boolean> {
  if (process.env.CI) return true;
  const child = spawn('docker-registry', ['--version'], { stdio: 'ignore' });
  const [code] = await once(child, 'close').catch(() => [1]);
  if (code !== 0) process.stderr.write('SKIPPED: docker-registry is not installed\n');
  return code === 0;
}

/** The reference implementation of the API, in a process and over a directory of its own. */
export async function debianRegistry(
  options: { readonly authenticated?: boolean; readonly token?: TokenAuth } = {},
): Promise<DebianRegistry> {
  const directory = await temporaryDirectory();
  const configuration = path.join(directory.path, 'config.json');
  const passwords = path.join(directory.path, 'htpasswd');
  await writeFile(passwords, htpasswd);
  // YAML takes JSON as it is.
  await writeFile(
    configuration,
    JSON.stringify({
      version: 0.1,
      log: { level: 'info' },
      storage: {
        filesystem: { rootdirectory: path.join(directory.path, 'data') },
        delete: { enabled: true },
      },
      http: { addr: '127.0.0.1:0', secret: 'not-a-secret' },
      ...(options.token && { auth: { token: options.token } }),
      ...(options.authenticated && { auth: { htpasswd: { realm: 'registry', path: passwords } } }),
    }),
  );
  const child = spawn('docker-registry', ['serve', configuration], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH },
  });
  const gone = once(child, 'close');
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= end(child, gone);
    return stopped;
  };
  const dispose = async () => {
    await stop();
    await directory[Symbol.asyncDispose]();
  };
  try {
    const host = await addressOf(child);
    return { host, pid: child.pid ?? 0, stop, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function addressOf(child: ChildProcess): Promise<string> {
  if (!child.stderr) throw new Error('no output');
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const timer = setTimeout(() => reject(new Error('docker-registry is slow')), startWithinMs);
  child.once('error', reject);
  child.once('close', () => reject(new Error('docker-registry did not start')));
  createInterface(child.stderr).on('line', (line) => {
    const address = /listening on ([\d.]+:\d+)/.exec(line)?.[1];
    if (address !== undefined) resolve(address);
  });
  return promise.finally(() => clearTimeout(timer));
}

async function end(child: ChildProcess, gone: Promise<unknown>): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  await gone.catch(() => undefined);
}
