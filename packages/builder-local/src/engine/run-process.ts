import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as delay } from 'node:timers/promises';
import { abortedError } from '@cygni/core';
import { BuildFault } from '../build-fault.ts';

/** How long a process has between the polite and the final signal. */
const graceMs = 5000;
const maximumLineLength = 16 * 1024;

export interface ProcessRequest {
  readonly command: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly directory: string;
  readonly onLine: (line: string) => Promise<void>;
  readonly signal: AbortSignal;
}

export interface ProcessResult {
  /** Null: ended by a signal. */
  readonly exitCode: number | null;
  /** The last lines of both streams, oldest first. */
  readonly lastLines: readonly string[];
}

/** Runs a program in a process group of its own, never through a shell. When it ends or is aborted the whole group ends. */
export async function runProcess(request: ProcessRequest): Promise<ProcessResult> {
  const { command, signal } = request;
  if (signal.aborted) throw abortedError(signal);
  const child = spawn(command, [...request.arguments], {
    cwd: request.directory,
    env: request.environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const lastLines: string[] = [];
  const take = async (line: string) => {
    lastLines.push(line);
    if (lastLines.length > 20) lastLines.shift();
    await request.onLine(line);
  };
  const ending = endOnAbort(child, signal);
  const reading = Promise.all([readLines(child.stdout, take), readLines(child.stderr, take)]);
  // A failed write of the log must not leave the process running unread.
  reading.catch(() => killGroup(child, 'SIGKILL'));
  try {
    const [exitCode] = await exited(child);
    // What outlives the group's leader would hold the pipes open.
    killGroup(child, 'SIGKILL');
    await Promise.race([reading, delay(graceMs, undefined, { ref: false })]);
    child.stdout.destroy();
    child.stderr.destroy();
    await reading.catch((error) => {
      if (!signal.aborted) throw error;
    });
    if (signal.aborted) throw abortedError(signal);
    return { exitCode, lastLines };
  } finally {
    ending.release();
  }

  async function exited(process: ChildProcess): Promise<[number | null]> {
    try {
      const [code]: unknown[] = await once(process, 'exit');
      return [typeof code === 'number' ? code : null];
    } catch (cause) {
      throw new BuildFault('platform_error', `cannot run ${command}`, { cause });
    }
  }
}

function endOnAbort(child: ChildProcess, signal: AbortSignal) {
  let timer: NodeJS.Timeout | undefined;
  const onAbort = () => {
    killGroup(child, 'SIGTERM');
    timer = setTimeout(() => killGroup(child, 'SIGKILL'), graceMs);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  return {
    release() {
      signal.removeEventListener('abort', onAbort);
      clearTimeout(timer);
    },
  };
}

function killGroup({ pid }: ChildProcess, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch {
    // The group is gone already.
  }
}

async function readLines(stream: Readable, take: (line: string) => Promise<void>): Promise<void> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  try {
    for await (const chunk of stream) {
      rest += decoder.write(chunk);
      const lines = rest.split(/\r?\n/);
      rest = lines.pop() ?? '';
      for (const line of lines) await take(line);
      if (rest.length > maximumLineLength) {
        await take(rest);
        rest = '';
      }
    }
  } catch (error) {
    // Destroyed on purpose, because something still held it open after the program had ended.
    if (!isPrematureClose(error)) throw error;
  }
  if (rest !== '') await take(rest);
}

function isPrematureClose(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE';
}
