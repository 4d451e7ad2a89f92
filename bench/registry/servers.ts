import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

interface Served extends AsyncDisposable {
  readonly host: string;
  /** Mebibytes: resident now, and at most so far. */
  memory(): Promise<{ readonly now: number; readonly peak: number }>;
  /** Processor time so far, which other work on the machine disturbs less than the clock. */
  cpuSeconds(): Promise<number>;
}

/** USER_HZ, which Linux shows to every program whatever the kernel's own is. */
const ticksPerSecond = 100;

export type Serve = (directory: string) => Promise<Served>;

export const serveEmbedded: Serve = (directory) => {
  const script = fileURLToPath(new URL('./serve-embedded.ts', import.meta.url));
  return start(process.execPath, ['--conditions=cygni-source', script, directory]);
};

export const serveDebian: Serve = async (directory) => {
  const configuration = join(directory, 'config.json');
  await writeFile(
    configuration,
    JSON.stringify({
      version: 0.1,
      // As quiet as the other one.
      log: { level: 'info', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(directory, 'data') } },
      http: { addr: '127.0.0.1:0', secret: 'not-a-secret' },
    }),
  );
  return start('docker-registry', ['serve', configuration]);
};

async function start(program: string, parameters: readonly string[]): Promise<Served> {
  const child = spawn(program, parameters, { stdio: ['ignore', 'pipe', 'pipe'] });
  const gone = once(child, 'close');
  gone.catch(() => undefined);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on('line', (line) => {
      const address = /listening on ([\d.]+:\d+)/.exec(line)?.[1];
      if (address !== undefined) resolve(address);
    });
  }
  child.once('error', reject);
  child.once('close', () => reject(new Error(`${program} did not start`)));
  const host = await promise;
  return {
    host,
    async memory() {
      const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
      const mebibytes = (field: string) =>
        Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
      return { now: mebibytes('VmRSS'), peak: mebibytes('VmHWM') };
    },
    async cpuSeconds() {
      const stat = await readFile(`/proc/${child.pid}/stat`, 'utf8');
      // proc(5): utime and stime are the 14th and 15th field; the second one, in parentheses, may hold spaces.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await gone;
    },
  };
}
