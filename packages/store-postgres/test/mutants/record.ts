import { appendFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, afterEach, beforeEach } from 'vitest';
import { dropIdleDatabases } from '../support/test-database.ts';
import type { Recorded } from './recorded.ts';
import { statements } from './seam.ts';

/** Notes which test runs which statement, for the runner, which then runs no test that could not notice a mutant. */

// All files share a process here, and what is said once for a process is so for the first of them only.
afterAll(dropIdleDatabases);

const { CYGNI_RECORD: file } = process.env;
if (file) {
  const tests = new Map<string, Set<string>>();
  let test = '';
  beforeEach(({ task }) => {
    test = task.fullTestName;
  });

  const { query } = pg.Client.prototype;
  function recording(this: pg.Client, ...args: Parameters<typeof query>): unknown {
    const [asked]: unknown[] = args;
    const name = typeof asked === 'object' && asked !== null && 'name' in asked ? asked.name : null;
    const statement = typeof name === 'string' ? /^cygni-(.+)-[0-9a-f]{12}$/.exec(name)?.[1] : null;
    if (statement && test !== '')
      tests.set(statement, (tests.get(statement) ?? new Set()).add(test));
    return Reflect.apply(query, this, args);
  }
  Object.assign(pg.Client.prototype, { query: recording });

  afterEach(() => {
    test = '';
  });
  afterAll(() => {
    Object.assign(pg.Client.prototype, { query });
    const recorded: Recorded = {
      texts: Object.fromEntries(statements),
      tests: Object.fromEntries([...tests].map(([name, names]) => [name, [...names]])),
    };
    appendFileSync(file, `${JSON.stringify(recorded)}\n`);
  });
}
