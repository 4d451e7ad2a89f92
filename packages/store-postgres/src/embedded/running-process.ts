import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Names one process for as long as the machine is up: a number alone is given out again. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startedAt: string;
  /** The command line, its words apart by spaces. */
  readonly command: string;
}

export async function identify(pid: number): Promise<ProcessIdentity | null> {
  return process.platform === 'linux' ? fromProc(pid) : fromPs(pid);
}

export async function isSameProcess(identity: ProcessIdentity): Promise<boolean> {
  return (await identify(identity.pid))?.startedAt === identity.startedAt;
}

/** Whether it has ended within the time. */
export async function hasEnded(identity: ProcessIdentity, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while (await isSameProcess(identity)) {
    if (performance.now() >= deadline) return false;
    await sleep(25);
  }
  return true;
}

async function fromProc(pid: number): Promise<ProcessIdentity | null> {
  try {
    const [stat, commandLine] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
    ]);
    // The name, in parentheses, may hold anything; the state and the start time are 1st and 20th after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const startedAt = fields[19];
    if (startedAt === undefined || fields[0] === 'Z') return null;
    return { pid, startedAt, command: commandLine.split('\0').join(' ').trim() };
  } catch {
    return null;
  }
}

async function fromPs(pid: number): Promise<ProcessIdentity | null> {
  try {
    const [started, command] = await Promise.all(
      ['lstart=', 'command='].map((field) => run('ps', ['-ww', '-o', field, '-p', String(pid)])),
    );
    const startedAt = started?.stdout.trim();
    if (!startedAt) return null;
    return { pid, startedAt, command: command?.stdout.trim() ?? '' };
  } catch {
    return null;
  }
}
