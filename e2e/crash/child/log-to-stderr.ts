import { inspect } from 'node:util';
import type { Logger } from '@cygni/core';

function write(level: string, fields: object, message = ''): void {
  const time = new Date().toISOString();
  const said = inspect(fields, { depth: 4, breakLength: Number.POSITIVE_INFINITY });
  process.stderr.write(`${time} ${level} ${message} ${said}\n`);
}

/** Only what somebody who looks for a fault wants to read. */
export const stderrLog: Logger = {
  debug() {},
  info() {},
  warn: (fields, message) => write('warn', fields, message),
  error: (fields, message) => write('error', fields, message),
};
