import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readConfiguration } from '../src/configuration.ts';
import { createOutbound, loadWebhookKeys } from '../src/outbound.ts';

let dataDirectory: string;
beforeEach(async () => {
  dataDirectory = await mkdtemp(join(tmpdir(), 'cygni-outbound-'));
});
afterEach(() => rm(dataDirectory, { recursive: true, force: true }));

function configurationOf(variables: Record<string, string> = {}) {
  const result = readConfiguration({ CYGNI_DATA_DIR: dataDirectory, ...variables });
  if (!result.ok) throw new Error(result.problems.join('; '));
  return result.configuration;
}

describe('the keys of webhooks', () => {
  it('are made on the first start, for their owner only, and stay the same', async () => {
    const [made] = await loadWebhookKeys(configurationOf());
    expect(made?.key.byteLength).toBe(32);
    const path = join(dataDirectory, 'webhook-key');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await loadWebhookKeys(configurationOf())).toEqual([made]);
    expect(made?.id).not.toContain((await readFile(path, 'utf8')).slice(0, 8));
  });

  it('are refused where the file holds something else, without telling what', async () => {
    await writeFile(join(dataDirectory, 'webhook-key'), 'hunter2');
    const error = await loadWebhookKeys(configurationOf()).catch((reason: unknown) => reason);
    expect(String(error)).toContain('webhook-key');
    expect(String(error)).not.toContain('hunter2');
  });

  it('are those that are configured, under the same names on every server', async () => {
    const keys = [randomBytes(32), randomBytes(32)].map((key) => key.toString('base64'));
    const load = (list: string) => loadWebhookKeys(configurationOf({ WEBHOOK_KEYS: list }));
    const both = await load(keys.join(', '));
    expect(both.map(({ key }) => Buffer.from(key).toString('base64'))).toEqual(keys);
    expect(new Set(both.map(({ id }) => id)).size).toBe(2);
    expect(await load(keys[1] ?? '')).toEqual([both[1]]);
  });
});

describe('whom the server tells of events', () => {
  const namesOf = async (variables: Record<string, string>) => {
    const configuration = configurationOf(variables);
    const { notifiers } = createOutbound(configuration, await loadWebhookKeys(configuration));
    await Promise.all(notifiers.map((notifier) => notifier.close()));
    return notifiers.map(({ name }) => name);
  };

  it('are the endpoints of webhooks, and a topic where there is one', async () => {
    expect(await namesOf({})).toEqual(['webhook']);
    const SNS_TOPIC_ARN = 'arn:aws:sns:eu-west-1:123456789012:events';
    expect(await namesOf({ SNS_TOPIC_ARN })).toEqual(['webhook', 'sns']);
  });

  it('are on private networks only where they are allowed by name', async () => {
    const configuration = configurationOf({ WEBHOOK_ALLOWED_HOSTS: 'hooks.internal, other' });
    const { notifiers } = createOutbound(configuration, await loadWebhookKeys(configuration));
    const { endpoints } = notifiers[0] ?? {};
    endpoints?.checkUrl('http://hooks.internal/');
    expect(() => endpoints?.checkUrl('http://public.test/')).toThrow();
    await notifiers[0]?.close();
  });
});
