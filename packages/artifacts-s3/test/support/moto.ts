import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';

const run = promisify(execFile);
const version = '5.2.5';
const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
const program = fileURLToPath(new URL('moto-server.py', import.meta.url));
const installed = join(cache, 'cygni', `moto-${version}`);

/** What S3 is played by in these tests: moto, a server in Python, outside the checkout and installed once. */
async function findMoto(): Promise<string | undefined> {
  const python = join(installed, 'bin', 'python');
  if (await stat(python).catch(() => undefined)) return python;
  await mkdir(dirname(installed), { recursive: true });
  // Several test files may be here at once: each makes its own, and the first puts it in place.
  const own = await mkdtemp(`${installed}.`);
  try {
    await run('python3', ['-m', 'venv', own], { timeout: 60_000 });
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
    const options = { timeout: 240_000 };
    await run(join(own, 'bin', 'python'), [...pip, `moto[server]==${version}`], options);
    await rename(own, installed).catch(async (error) => {
      if (!(await stat(python).catch(() => undefined))) throw error;
    });
    return python;
  } catch (error) {
    if (process.env.CI) throw new Error('moto cannot be installed', { cause: error });
    process.stderr.write(`NO MOTO: what needs an S3 is skipped. ${String(error)}\n`);
    return undefined;
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}

const python = await findMoto();
export const motoIsMissing = python === undefined;

export const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };

export interface Moto extends AsyncDisposable {
  readonly endpoint: string;
  readonly client: S3Client;
  createBucket(name: string): Promise<void>;
}

/** A server of one's own, empty. */
export async function startMoto(): Promise<Moto> {
  if (python === undefined) throw new Error('moto is not here');
  const server = spawn(python, [program], { stdio: ['ignore', 'ignore', 'pipe'] });
  const endpoint = await new Promise<string>((resolve, reject) => {
    server.once('error', reject);
    server.once('exit', (code) => reject(new Error(`moto ended with ${code}`)));
    // Read to its end: it logs every request.
    createInterface(server.stderr).on('line', (line) => {
      const address = /Running on (http:\/\/[\d.:]+)/.exec(line)?.[1];
      if (address) resolve(address);
    });
  });
  const client = new S3Client({
    endpoint,
    credentials,
    region: 'us-east-1',
    forcePathStyle: true,
  });
  return {
    endpoint,
    client,
    async createBucket(name) {
      await client.send(new CreateBucketCommand({ Bucket: name }));
    },
    async [Symbol.asyncDispose]() {
      client.destroy();
      server.kill('SIGKILL');
      if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
    },
  };
}
