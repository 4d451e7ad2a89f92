import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readConfiguration } from '../src/configuration.ts';
import { loadKey } from '../src/keys.ts';

let dataDirectory: string;
beforeEach(async () => {
  dataDirectory = await mkdtemp(join(tmpdir(), 'cygni-keys-'));
});
afterEach(() => rm(dataDirectory, { recursive: true, force: true }));

function configurationOf(variables: Record<string, string>) {
  const result = readConfiguration({ CYGNI_DATA_DIR: dataDirectory, ...variables });
  if (!result.ok) throw new Error(result.problems.join('; '));
  return result.configuration;
}

describe.each(['webhook', 'sealing'] as const)('the %s key', (purpose) => {
  it('is made on the first start, for its owner only, and stays the same', async () => {
    const made = await loadKey(purpose, dataDirectory);
    expect(made.key.byteLength).toBe(32);
    const path = join(dataDirectory, `${purpose}-key`);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await loadKey(purpose, dataDirectory)).toEqual(made);
    expect(made.id).not.toContain((await readFile(path, 'utf8')).slice(0, 8));
  });

  it('is refused where the file holds something else, without telling what', async () => {
    await writeFile(join(dataDirectory, `${purpose}-key`), 'hunter2');
    const error = await loadKey(purpose, dataDirectory).catch((reason: unknown) => reason);
    expect(String(error)).toContain(`${purpose}-key`);
    expect(String(error)).not.toContain('hunter2');
  });
});

describe.each([
  ['WEBHOOK_KEYS', (list: string) => configurationOf({ WEBHOOK_KEYS: list }).outbound.webhookKeys],
  ['SEALING_KEYS', (list: string) => configurationOf({ SEALING_KEYS: list }).sealingKeys],
])('%s', (_, load) => {
  it('has the configured keys, under the same names on every server', () => {
    const keys = [randomBytes(32), randomBytes(32)].map((key) => key.toString('base64'));
    const both = load(keys.join(', '));
    expect(both?.map(({ key }) => Buffer.from(key).toString('base64'))).toEqual(keys);
    expect(new Set(both?.map(({ id }) => id)).size).toBe(2);
    expect(load(keys[1] ?? '')).toEqual([both?.[1]]);
  });
});
