import { readFileSync } from 'node:fs';
import { systemCode } from './map-error.ts';

/** Names one process for ever: a pid alone is given to others again. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks after boot, as the kernel writes it. */
  readonly startTime: string;
  readonly bootId: string;
}

/** The identity of a process that runs now; null where there is none, or only its exit status is left. */
export function identify(pid: number): ProcessIdentity | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ESRCH') return null;
    throw error;
  }
  // The command's name may hold spaces and parentheses; the fields that count come after the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, startTime] = [fields[0], fields[19]];
  if (startTime === undefined || state === 'Z' || state === 'X') return null;
  return { pid, startTime, bootId: readBootId() };
}

export function isAlive(identity: ProcessIdentity): boolean {
  const found = identify(identity.pid);
  return found?.startTime === identity.startTime && found.bootId === identity.bootId;
}

/** Signals that very process; whoever has its pid by now is left alone. Returns whether it was there. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    return process.kill(identity.pid, signal);
  } catch (error) {
    if (systemCode(error) === 'ESRCH') return false;
    throw error;
  }
}

function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
}
