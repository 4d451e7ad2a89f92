import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { abortedError } from '@cygni/core';
import { commonSettings, environmentOf } from './git-arguments.ts';
import { mapFailure } from './map-error.ts';

/** No file that git writes is larger: the one way to end a fetch that does not end. Of `ulimit`, in blocks of 512 bytes. */
const limited = 'ulimit -f "$1" && shift && exec "$@"';
const keptCharacters = 4_000;

export interface GitRun {
  readonly directory: string;
  readonly program: string;
  readonly maximumFileBytes: number;
  readonly signal: AbortSignal;
}

export interface GitProcess {
  readonly output: Readable;
  /** @throws what the failure means; `aborted`, `timeout` */
  readonly ended: Promise<void>;
  /** With all that it has started. */
  kill(): void;
}

/** Starts git in a process group of its own, which ends with the signal. */
export function startGit(args: readonly string[], run: GitRun): GitProcess {
  const { directory, program, maximumFileBytes, signal } = run;
  const blocks = String(Math.ceil(maximumFileBytes / 512));
  const child: ChildProcessByStdio<null, Readable, Readable> = spawn(
    '/bin/sh',
    ['-c', limited, 'sh', blocks, program, ...commonSettings, ...args],
    {
      cwd: directory,
      env: environmentOf(directory),
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-keptCharacters);
  });

  function kill(): void {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch (error) {
      // It has ended just now.
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  }

  async function end(): Promise<void> {
    if (signal.aborted) kill();
    signal.addEventListener('abort', kill, { once: true });
    try {
      const [code] = await once(child, 'close');
      if (signal.aborted) throw abortedError(signal);
      if (code !== 0) throw mapFailure(typeof code === 'number' ? code : null, said);
    } finally {
      signal.removeEventListener('abort', kill);
    }
  }
  return { output: child.stdout, ended: end(), kill };
}

/** Runs git to its end. Returns what it printed, up to 4 KB. */
export async function runGit(args: readonly string[], run: GitRun): Promise<string> {
  const { output, ended } = startGit(args, run);
  let printed = '';
  output.setEncoding('utf8').on('data', (text: string) => {
    printed = (printed + text).slice(0, keptCharacters);
  });
  await ended;
  return printed.trim();
}
