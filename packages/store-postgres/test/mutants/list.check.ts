import { readFile } from 'node:fs/promises';
import { createPostgresStore } from '@cygni/store-postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrations } from '../../src/migrations/index.ts';
import { call } from '../support/calls.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/test-database.ts';
import { mutants } from './list.ts';
import { describeMutant, isFile, type Mutant, mutate } from './mutant.ts';
import { statements } from './seam.ts';

/** What guards something, wherever it stands. */
const guards = [
  /\battempt = (\$\d|asked\.attempt)/g,
  /FOR (NO KEY )?UPDATE/g,
  /SKIP LOCKED/g,
  /advisory/g,
  /ON CONFLICT/g,
  /(?<=(WHERE|AND|OR) \(*)(\w+\.)?state (=|<>|IN)/g,
  /\b(lease_until|enqueued_at|expires_at) [<>]/g,
  /\bcounted_attempts (<|>=) /g,
  /(?<=(WHERE|AND|OR) )(NOT )?(\w+\.)?(dispatched|ready|cancel_requested)/g,
  /NOT EXISTS/g,
  /- spent - reserved/g,
  /least\(\$/g,
  /\btenant_id = \$1/g,
];

/** A mutant of something that is not there, or is not SQL any more, would seem to be noticed by every test. */
describe('the list of mutants', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createEmptyDatabase();
    const store = createPostgresStore({ url: database.url });
    await store.open(call);
    await store.close();
  });
  afterAll(() => database[Symbol.asyncDispose]());

  it.each(mutants.map((mutant) => [mutant.place, describeMutant(mutant), mutant] as const))(
    'changes %s: %s',
    async (place, _, mutant) => {
      if (isFile(mutant)) await mustBeInFile(mutant);
      for (const text of textsOf(mutant)) await prepare(mutate(text, mutant));
      if (place.startsWith('migrations/')) await migrateWith(mutant);
    },
  );

  it.each([...statements])('leaves no guard of %s out', (name, text) => {
    const changed = mutants
      .filter((mutant) => mutant.place === name || isFile(mutant))
      .flatMap(({ find }) => spansOf(text, find));
    const left = guards
      .flatMap((guard) => [...text.matchAll(guard)])
      .filter(({ index, 0: { length } }) => {
        return !changed.some(([start, end]) => start < index + length && index < end);
      })
      .map(
        ({ 0: found, index }) => `${found} in: ${text.slice(Math.max(0, index - 80), index + 80)}`,
      );
    expect(left).toEqual([]);
  });

  async function mustBeInFile(mutant: Mutant): Promise<void> {
    const file = new URL(`../../src/${mutant.place}`, import.meta.url);
    mutate(await readFile(file, 'utf8'), mutant);
  }

  function textsOf(mutant: Mutant): readonly string[] {
    if (isFile(mutant))
      return [...statements.values()].filter((text) => text.includes(mutant.find));
    const text = statements.get(mutant.place);
    if (text === undefined) throw new Error(`there is no statement ${mutant.place}`);
    return [text];
  }

  async function prepare(text: string): Promise<void> {
    await database.query(`PREPARE mutant AS ${text}`);
    await database.query('DEALLOCATE mutant');
  }

  async function migrateWith(mutant: Mutant): Promise<void> {
    await using empty = await createEmptyDatabase();
    await empty.query('CREATE SCHEMA cygni');
    for (const { version, sql } of migrations) {
      const isMutated = mutant.place.startsWith(`migrations/${String(version).padStart(4, '0')}_`);
      await empty.query(isMutated ? mutate(sql, mutant) : sql);
    }
  }
});

function spansOf(text: string, find: string): readonly (readonly [number, number])[] {
  const start = text.indexOf(find);
  return start < 0 ? [] : [[start, start + find.length]];
}
