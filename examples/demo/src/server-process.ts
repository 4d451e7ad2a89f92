import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const serverMain = fileURLToPath(new URL('../../reference-server/src/main.ts', import.meta.url));
const startTimeoutMs = 90_000;
const stopTimeoutMs = 10_000;
const listeningSchema = z.object({ url: z.url() });

export interface ServerProcess {
  readonly url: string;
  readonly token: string;
  readonly logFile: string;
  readonly processId: number;
}

/** The reference server as a process of its own, in a process group of its own: Ctrl-C reaches it only through `stop`. */
export function createServerProcess(
  directory: string,
  environment: Readonly<Record<string, string>> = {},
) {
  let child: ChildProcess | undefined;
  return {
    async start(signal: AbortSignal): Promise<ServerProcess> {
      const dataDirectory = join(directory, 'data');
      const logFile = join(directory, 'server.log');
      await using log = await open(logFile, 'w');
      child = spawn(process.execPath, ['--conditions=cygni-source', serverMain], {
        detached: true,
        env: { ...process.env, ...environment, CYGNI_DATA_DIR: dataDirectory, PORT: '0' },
        stdio: ['ignore', log.fd, log.fd, 'ipc'],
      });
      const patience = AbortSignal.any([signal, AbortSignal.timeout(startTimeoutMs)]);
      const [message]: unknown[] = await Promise.race([
        once(child, 'message', { signal: patience }),
        once(child, 'exit', { signal: patience }).then(async () => {
          throw new Error(
            `the server ended before it listened:\n${await readFile(logFile, 'utf8')}`,
          );
        }),
      ]);
      const { url } = listeningSchema.parse(message);
      const token = (await readFile(join(dataDirectory, 'token'), 'utf8')).trim();
      return { url, token, logFile, processId: child.pid ?? 0 };
    },
    /** Ends it, by force after ten seconds; returns its exit code, or null if it had to be forced. */
    async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
      if (!child) return 0;
      if (child.exitCode === null && child.signalCode === null) {
        const exited = once(child, 'exit');
        child.kill(signal);
        const force = setTimeout(() => child?.kill('SIGKILL'), stopTimeoutMs);
        await exited;
        clearTimeout(force);
      }
      return child.exitCode;
    },
  };
}
