import type { ResolvedAddress } from '@cygni/core/outbound';
import type { ResolvedOptions } from './options.ts';

/** All that git may read from its surroundings. No configuration, no credentials, no prompt, no protocol but https. */
export function environmentOf(home: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: home,
    LC_ALL: 'C',
    GIT_ALLOW_PROTOCOL: 'https',
    GIT_ASKPASS: '',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_TERMINAL_PROMPT: '0',
  };
}

/**
 * What git is told for a fetch from this URL. The name is not resolved again: the connection goes to the addresses that
 * were looked at, and to nothing that a server redirects or refers to.
 */
export function fetchSettings(
  url: URL,
  addresses: readonly ResolvedAddress[],
  { caFile }: ResolvedOptions,
): readonly string[] {
  const hosts = addresses.map(({ address, family }) => (family === 6 ? `[${address}]` : address));
  const pinned = `${url.hostname}:${url.port || '443'}:${hosts.join(',')}`;
  return settings({
    'credential.helper': '',
    'fetch.fsckObjects': 'true',
    'fetch.unpackLimit': '1',
    'fetch.uriProtocols': '',
    'http.curloptResolve': pinned,
    'http.followRedirects': 'false',
    'http.lowSpeedLimit': '1000',
    'http.lowSpeedTime': '30',
    'http.proxy': '',
    'http.sslVerify': 'true',
    'protocol.allow': 'never',
    'protocol.https.allow': 'always',
    'transfer.bundleURI': 'false',
    ...(caFile !== undefined && { 'http.sslCAInfo': caFile }),
  });
}

/** No hook, no helper; and no file is held in memory that is large. */
export const commonSettings = settings({
  'core.bigFileThreshold': '1m',
  'core.deltaBaseCacheLimit': '32m',
  'core.fsmonitor': 'false',
  'core.hooksPath': '/dev/null',
  'gc.auto': '0',
  'maintenance.auto': 'false',
  'pack.threads': '1',
  'submodule.recurse': 'false',
  'tar.umask': '0022',
});

function settings(values: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}
