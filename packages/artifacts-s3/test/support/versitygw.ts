import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { findFreePort } from '../../../../e2e/support/free-port.ts';
import { credentials } from './moto.ts';

// .ci/run builds it there, in the same version: go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
const program = join(cache, 'cygni', 'versitygw-1.8.0', 'versitygw');

export const versitygwIsMissing = (await stat(program).catch(() => undefined)) === undefined;
if (versitygwIsMissing) {
  if (process.env.CI) throw new Error(`${program} is missing`);
  process.stderr.write(`SKIPPED: no ${program}, so no server judges what the S3 store signs\n`);
}

export interface VersityGateway extends AsyncDisposable {
  readonly endpoint: string;
}

/** An S3 over a directory of its own, which checks signatures, expiries and checksums. It has the bucket `artifacts`. */
export async function startVersityGateway(): Promise<VersityGateway> {
  const directory = await mkdtemp(join(tmpdir(), 'cygni-versitygw-'));
  await mkdir(join(directory, 'artifacts'));
  const host = `127.0.0.1:${await findFreePort('127.0.0.1')}`;
  const server = spawn(program, ['--port', host, 'posix', directory], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: {
      ROOT_ACCESS_KEY: credentials.accessKeyId,
      ROOT_SECRET_KEY: credentials.secretAccessKey,
    },
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('exit', (code) => reject(new Error(`versitygw ended with ${code}`)));
    createInterface(server.stdout).on('line', (line) => {
      if (line.includes(host)) resolve();
    });
  });
  return {
    endpoint: `http://${host}`,
    async [Symbol.asyncDispose]() {
      server.kill('SIGKILL');
      if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
      await rm(directory, { recursive: true, force: true });
    },
  };
}
