import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { RepositoryLocation } from '@cygni/core';
import {
  createRegistryProxy,
  createReport,
  openConfigurationFile,
  type ProxyConfigurationInput,
} from '../../src/index.ts';
import type { GuardedRegistry } from './guarded-registry.ts';

export interface RunningProxy extends AsyncDisposable {
  readonly host: string;
  /** What it printed, and nothing else. */
  readonly lines: readonly string[];
  events(): readonly Record<string, unknown>[];
  /** Replaces the file at once, as the kubelet does. */
  write(configuration: ProxyConfigurationInput): Promise<void>;
  fetch(target: string, init?: RequestInit): Promise<Response>;
  location(repository: string): RepositoryLocation;
}

/** A proxy in front of `target`, which allows a build what builds are allowed. */
export async function runProxy(configuration: ProxyConfigurationInput): Promise<RunningProxy> {
  const directory = await mkdtemp(path.join(tmpdir(), 'cygni-proxy-'));
  const name = path.join(directory, 'proxy.json');
  const write = async (content: ProxyConfigurationInput) => {
    await writeFile(`${name}.new`, JSON.stringify(content));
    await rename(`${name}.new`, name);
  };
  await write({ port: 0, ...configuration });
  const lines: string[] = [];
  const report = createReport((line) => lines.push(line));
  const proxy = createRegistryProxy(await openConfigurationFile(name, report), report);
  const { port } = await proxy.listen();
  const host = `127.0.0.1:${port}`;
  return {
    host,
    lines,
    events: () => lines.map((each) => JSON.parse(each) as Record<string, unknown>),
    write,
    fetch: (target, init) => fetch(`http://${host}${target}`, init),
    location: (repository) => ({ host, repository, insecure: true }),
    async [Symbol.asyncDispose]() {
      await proxy.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export function configurationFor(
  registry: GuardedRegistry,
  password: string,
  more: { readonly expiresAt?: string; readonly renewalWaitSeconds?: number } = {},
): ProxyConfigurationInput {
  const { expiresAt = null, renewalWaitSeconds = 5 } = more;
  return {
    renewalWaitSeconds,
    upstreams: [
      {
        name: 'target',
        origin: registry.origin,
        credentials: { username: registry.username, password, expiresAt },
        repositories: [
          { name: 'acme/site', actions: ['pull', 'push'], tags: ['one', 'two'] },
          { name: 'cache/acme', actions: ['pull', 'push'] },
          { name: 'base/busybox', actions: ['pull'] },
        ],
      },
    ],
  };
}
