import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessRole } from '../crash-points.ts';
import {
  type Configuration,
  exitCodes,
  type Order,
  type Report,
  reportSchema,
  splitLines,
} from '../messages.ts';
import { pathsIn } from '../paths.ts';
import { program, startOptions } from './program.ts';

const restartPauseMs = 100;

/** A place for one process, which is started again whenever it has ended. */
export interface Slot {
  readonly name: string;
  readonly role: ProcessRole;
  /** Of the API, while it answers. */
  readonly port: number | null;
  /** Whether the process runs: it is ready, and not stopped. */
  readonly running: boolean;
  readonly paused: boolean;
  /** How long its last start took. */
  readonly startMs: number;
  send(order: Order): void;
  /** False: there is no process. */
  signal(name: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): boolean;
  /** Starts none any more, and ends the one there is: by request, and killed if it does not heed it, or at once. Resolves when it is gone. */
  retire(how: 'gracefully' | 'at once'): Promise<void>;
}

export interface SlotEvents {
  onReport(slot: Slot, report: Report): void;
  /** A process that ended as nobody had told it to, and the end of what it wrote. */
  onUnexpectedEnd(slot: Slot, how: string, said: string): void;
}

const retireTimeoutMs = 20_000;

export function createSlot(name: string, configure: () => Configuration, events: SlotEvents): Slot {
  const { role, directory } = configure();
  const paths = pathsIn(directory);
  let child: ChildProcess | undefined;
  let port: number | null = null;
  let ready = false;
  let paused = false;
  let retired = false;
  let lives = 0;
  let startMs = 0;
  let startedAt = 0;

  async function live(): Promise<void> {
    lives += 1;
    startedAt = performance.now();
    const logPath = join(paths.logs, `${name}-${lives}.log`);
    const output = openSync(logPath, 'a', 0o600);
    const started = spawn(process.execPath, program, {
      ...startOptions(paths.compileCache),
      stdio: ['pipe', output, output, 'pipe'],
    });
    closeSync(output);
    child = started;
    started.stdin?.on('error', () => {});
    started.stdin?.write(`${JSON.stringify(configure())}\n`);
    const reports = started.stdio[3];
    if (reports && 'setEncoding' in reports) {
      reports.setEncoding('utf8');
      reports.on(
        'data',
        splitLines((line) => hear(reportSchema.parse(JSON.parse(line)))),
      );
    }
    const [code, signal]: unknown[] = await once(started, 'close').catch((error: unknown) => [
      String(error),
    ]);
    port = null;
    ready = false;
    paused = false;
    const expected =
      signal === 'SIGKILL' ||
      // Before it had a handler.
      signal === 'SIGTERM' ||
      code === exitCodes.crashed ||
      code === exitCodes.stopped ||
      code === exitCodes.notOpened;
    if (!expected) {
      const said = (await readFile(logPath, 'utf8')).trim().slice(-3_000);
      events.onUnexpectedEnd(slot, signal ? String(signal) : `exit code ${String(code)}`, said);
    }
  }

  function hear(report: Report): void {
    if (report.is === 'ready') {
      ready = true;
      port = report.port;
      startMs = performance.now() - startedAt;
    }
    if (report.is === 'pausing') paused = true;
    events.onReport(slot, report);
  }

  async function keepAlive(): Promise<void> {
    while (!retired) {
      await live();
      if (!retired) await sleep(restartPauseMs);
    }
  }

  const slot: Slot = {
    name,
    role,
    get port() {
      return paused ? null : port;
    },
    get running() {
      return ready && !paused;
    },
    get paused() {
      return paused;
    },
    get startMs() {
      return startMs;
    },
    send(order) {
      if (child?.exitCode === null) child.stdin?.write(`${JSON.stringify(order)}\n`);
    },
    signal(which) {
      if (!child || child.exitCode !== null || child.signalCode !== null) return false;
      if (which === 'SIGSTOP') paused = true;
      if (which === 'SIGCONT') paused = false;
      return child.kill(which);
    },
    async retire(how) {
      retired = true;
      slot.signal('SIGCONT');
      slot.signal(how === 'gracefully' ? 'SIGTERM' : 'SIGKILL');
      const timer = setTimeout(() => {
        const killed = slot.signal('SIGKILL');
        if (killed) events.onUnexpectedEnd(slot, `did not end in ${retireTimeoutMs} ms`, '');
      }, retireTimeoutMs);
      await living;
      clearTimeout(timer);
    },
  };
  const living = keepAlive();
  return slot;
}
