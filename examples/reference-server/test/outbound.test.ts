import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readConfiguration } from '../src/configuration.ts';
import { loadKey } from '../src/keys.ts';
import { createOutbound } from '../src/outbound.ts';

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

describe('whom the server tells of events', () => {
  const namesOf = async (variables: Record<string, string>) => {
    const configuration = configurationOf(variables);
    const { notifiers } = createOutbound(configuration, [await loadKey('webhook', dataDirectory)]);
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
    const { notifiers } = createOutbound(configuration, [await loadKey('webhook', dataDirectory)]);
    const { endpoints } = notifiers[0] ?? {};
    endpoints?.checkUrl('http://hooks.internal/');
    expect(() => endpoints?.checkUrl('http://public.test/')).toThrow();
    await notifiers[0]?.close();
  });
});
