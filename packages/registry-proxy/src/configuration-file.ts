import { readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { type Credentials, type ProxyConfiguration, parseConfiguration } from './configuration.ts';
import type { Report } from './report.ts';

export interface ConfigurationFile {
  current(): ProxyConfiguration;
  /** Looks whether the file has changed; calls at the same time share one look. Keeps the last good content. */
  read(): Promise<ProxyConfiguration>;
  /**
   * Other credentials of the upstream than those that ran out. Waits for them as long as the
   * configuration says, once: what was waited for in vain is only looked up from then on.
   */
  renewed(
    upstream: string,
    stale: Credentials,
    signal: AbortSignal,
  ): Promise<Credentials | undefined>;
}

const lookEveryMs = 500;
const readAtMostEveryMs = 250;

/** @throws Error that names the field, if the first content is not a configuration */
export async function openConfigurationFile(
  path: string,
  report: Report,
): Promise<ConfigurationFile> {
  let text = await readFile(path, 'utf8');
  let configuration = parseConfiguration(text);
  let reading: Promise<ProxyConfiguration> | undefined;
  let readAt = performance.now();
  let complaint = '';
  const waitedInVain = new Map<string, string>();

  async function look(): Promise<ProxyConfiguration> {
    try {
      const found = await readFile(path, 'utf8');
      if (found !== text) {
        configuration = parseConfiguration(found);
        text = found;
      }
      complaint = '';
    } catch (error) {
      // Once for each kind of trouble, however often it is looked at.
      const message = error instanceof Error ? error.message : String(error);
      if (message !== complaint)
        report({ event: 'error', reason: 'invalid_configuration', message });
      complaint = message;
    }
    readAt = performance.now();
    return configuration;
  }

  function read(): Promise<ProxyConfiguration> {
    if (performance.now() - readAt < readAtMostEveryMs) {
      return reading ?? Promise.resolve(configuration);
    }
    reading ??= look().finally(() => {
      reading = undefined;
    });
    return reading;
  }

  return {
    current: () => configuration,
    read,
    async renewed(name, stale, signal) {
      const staleKey = JSON.stringify(stale);
      const deadline = performance.now() + configuration.renewalWaitSeconds * 1000;
      for (;;) {
        const { upstreams } = await read();
        const found = upstreams.find((each) => each.name === name)?.credentials;
        if (found && JSON.stringify(found) !== staleKey) return found;
        if (waitedInVain.get(name) === staleKey) return undefined;
        if (performance.now() >= deadline) {
          waitedInVain.set(name, staleKey);
          return undefined;
        }
        await wait(lookEveryMs, undefined, { signal });
      }
    },
  };
}
