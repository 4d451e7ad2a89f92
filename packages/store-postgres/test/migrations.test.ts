import { createPostgresStore } from '@cygni/store-postgres';
import { describe, expect, it } from 'vitest';
import { migrations } from '../src/migrations/index.ts';
import { acceptBuild, call } from './support/calls.ts';
import { createEmptyDatabase, postgresUrl } from './support/test-database.ts';

describe.skipIf(postgresUrl === null)('migrations', () => {
  it('run once when ten servers start at the same time', async () => {
    await using database = await createEmptyDatabase();
    const stores = Array.from({ length: 10 }, () =>
      createPostgresStore({ url: database.url, poolSize: 2 }),
    );
    await Promise.all(stores.map((store) => store.open(call)));
    const applied = await database.query('SELECT version, name FROM cygni.migrations');
    expect(applied).toEqual(migrations.map(({ version, name }) => ({ version, name })));
    await Promise.all(stores.map((store) => acceptBuild(store)));
    await Promise.all(stores.map((store) => store.close()));
  });

  it('run on the first call, where nobody has opened the store', async () => {
    await using database = await createEmptyDatabase();
    const store = createPostgresStore({ url: database.url });
    expect(await store.getBuild('acme', 'no-id', call)).toBeNull();
    await Promise.all([acceptBuild(store), acceptBuild(store)]);
    await store.close();
  });

  it('leave the schema of a newer version as it is', async () => {
    await using database = await createEmptyDatabase();
    const newer = createPostgresStore({ url: database.url });
    await newer.open(call);
    await newer.close();
    await database.query(`INSERT INTO cygni.migrations (version, name) VALUES (99, 'future')`);
    await database.query('ALTER TABLE cygni.builds ADD COLUMN added_later text');
    const store = createPostgresStore({ url: database.url });
    const id = await acceptBuild(store);
    expect(await store.getBuild('acme', id, call)).toMatchObject({ state: 'QUEUED' });
    await store.close();
  });
});
