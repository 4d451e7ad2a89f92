import { constants } from 'node:os';

/** `exit code 1` or `signal SIGKILL`, from a status as shells give it: 128 + n for signal n. */
export function describeExit(status: number): string {
  const number = status - 128;
  const name = Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
  return name && number > 0 ? `signal ${name}` : `exit code ${status}`;
}
