import { dockerfileError } from '../build-fault.ts';
import type { HealthcheckInstruction } from './instruction.ts';
import { flagValues, parseCommand } from './parse-instruction.ts';
import { takeFlags } from './words.ts';

const fields: Readonly<Record<string, string>> = {
  interval: 'Interval',
  timeout: 'Timeout',
  'start-period': 'StartPeriod',
  'start-interval': 'StartInterval',
};

const unitNanoseconds: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** @throws BuildFault that names the line */
export function parseHealthcheck(
  content: string,
  escapeMark: string,
  line: number,
): HealthcheckInstruction {
  const { flags, rest } = takeFlags(content, escapeMark);
  const values = flagValues(flags, 'HEALTHCHECK', [...Object.keys(fields), 'retries'], line);
  const [, keyword = '', command = ''] = /^(\S+)\s*(.*)$/s.exec(rest) ?? [];
  if (keyword.toUpperCase() === 'NONE') {
    if (values.size > 0 || command !== '') {
      throw dockerfileError(line, 'HEALTHCHECK NONE takes nothing else');
    }
    return { kind: 'healthcheck', command: null, durations: {}, retries: null };
  }
  if (keyword.toUpperCase() !== 'CMD' || command.trim() === '') {
    throw dockerfileError(line, 'HEALTHCHECK is followed by NONE or by CMD and a command');
  }
  const durations: Record<string, number> = {};
  for (const [flag, field] of Object.entries(fields)) {
    const value = values.get(flag)?.at(-1);
    if (value !== undefined) durations[field] = parseDuration(value, `--${flag}`, line);
  }
  const retries = values.get('retries')?.at(-1) ?? null;
  if (retries !== null && !/^[1-9][0-9]{0,4}$/.test(retries)) {
    throw dockerfileError(line, '--retries is a positive whole number');
  }
  return {
    kind: 'healthcheck',
    command: parseCommand(command.trim()),
    durations,
    retries: retries === null ? null : Number(retries),
  };
}

/** Go's notation: `1m30s`, `500ms`. @returns nanoseconds */
function parseDuration(text: string, what: string, line: number): number {
  if (text.length > 64 || !/^(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h))+$/.test(text)) {
    throw dockerfileError(line, `${what} is a duration like 30s or 1m30s`);
  }
  let total = 0;
  for (const [, amount = '', unit = ''] of text.matchAll(/([0-9.]+)(ns|us|µs|ms|s|m|h)/g)) {
    total += Number(amount) * (unitNanoseconds[unit] ?? 0);
  }
  if (total < 1e6) throw dockerfileError(line, `${what} is at least 1ms`);
  return Math.round(total);
}
