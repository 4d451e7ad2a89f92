import { CygniError } from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { createLogger } from '../src/logger.ts';

function record(secrets: readonly string[] = []) {
  const lines: string[] = [];
  const destination = { write: (line: string) => lines.push(line) };
  return { log: createLogger({ level: 'info', version: '1.2.3', secrets, destination }), lines };
}

describe('the server’s log', () => {
  it('is JSON, a line each, with what is common to all lines', () => {
    const { log, lines } = record();
    log.info({ requestId: 'r-1' }, 'request');
    const [line = ''] = lines;
    expect(JSON.parse(line)).toEqual({
      level: 30,
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      service: 'cygni',
      version: '1.2.3',
      requestId: 'r-1',
      msg: 'request',
    });
  });

  it('has of an error its type, code, message, stack and causes, and nothing that hangs on it', () => {
    const { log, lines } = record();
    const cause = Object.assign(new TypeError('fetch failed'), {
      code: 'ECONNRESET',
      options: { headers: { authorization: 'Bearer hunter2' } },
    });
    log.error({ err: new CygniError('unavailable', 'no answer', { cause }) }, 'failed');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      err: {
        code: 'unavailable',
        message: 'no answer',
        stack: expect.stringContaining('logger.test.ts'),
        cause: { type: 'TypeError', code: 'ECONNRESET', message: 'fetch failed' },
      },
    });
    expect(lines.join('')).not.toContain('hunter2');
  });

  it.each([
    'connect postgres://cygni:hunter2@db:5432 failed',
    'GET https://bucket.test/key?X-Amz-Signature=hunter2 failed',
    'sent "Authorization: Bearer hunter2hunter2" in vain',
    'redis://:hunter2@cache is away',
  ])('has no credentials of an error that says: %s', (message) => {
    const { log, lines } = record();
    log.error({ err: new Error(message) }, 'failed');
    expect(lines.join('')).not.toContain('hunter2');
    expect(lines.join('')).toContain('[redacted]');
  });

  it('has no secret of the configuration, wherever it comes from', () => {
    const { log, lines } = record(['correct "horse" battery']);
    const secret = 'correct "horse" battery';
    log.info({ what: secret, where: { deep: [secret] } }, `with ${secret}`);
    const [line = ''] = lines;
    expect(line).not.toContain('battery');
    expect(JSON.parse(line)).toMatchObject({ what: '[redacted]', msg: 'with [redacted]' });
  });

  it('keeps whatever is logged on its line', () => {
    const { log, lines } = record();
    log.info({ said: 'a\n{"level":60}\u2028' }, 'b\nc');
    expect(lines).toHaveLength(1);
    expect(lines[0]?.trimEnd()).not.toContain('\n');
  });
});
