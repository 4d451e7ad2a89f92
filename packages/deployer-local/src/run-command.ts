import { spawn } from 'node:child_process';
import { abortedError, CygniError } from '@cygni/core';

export interface CommandResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs: number;
  readonly environment?: NodeJS.ProcessEnv;
}

const maximumOutputBytes = 4 * 1024 * 1024;

/**
 * Runs a program to its end, without a shell. Output past 4 MiB per stream is dropped.
 * @throws `unsupported` if the program is not there, `timeout`, `aborted`
 */
export function runCommand(
  argv: readonly [string, ...string[]],
  { signal, timeoutMs, environment }: CommandOptions,
): Promise<CommandResult> {
  const [file, ...parameters] = argv;
  if (signal?.aborted) return Promise.reject(abortedError(signal));
  return new Promise((resolve, reject) => {
    const child = spawn(file, parameters, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment ?? process.env,
    });
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    let stopped: CygniError | undefined;
    const stop = (error: CygniError) => {
      stopped ??= error;
      child.kill('SIGKILL');
    };
    const timer = setTimeout(
      () => stop(new CygniError('timeout', `${file} did not end within ${timeoutMs} ms`)),
      timeoutMs,
    );
    const onAbort = () => signal && stop(abortedError(signal));
    signal?.addEventListener('abort', onAbort, { once: true });
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      settle();
    };
    child.once('error', (cause) =>
      finish(() => reject(new CygniError('unsupported', `${file} cannot be run`, { cause }))),
    );
    child.once('close', (code, killedBy) =>
      finish(() =>
        stopped
          ? reject(stopped)
          : resolve({ code, signal: killedBy, stdout: stdout(), stderr: stderr() }),
      ),
    );
  });
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on('data', (chunk: Buffer) => {
    if (size >= maximumOutputBytes) return;
    size += chunk.byteLength;
    chunks.push(chunk);
  });
  return () => Buffer.concat(chunks).toString('utf8');
}
