import { lookup as resolve } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { CygniError } from '@cygni/core';
import { Agent, buildConnector, type Dispatcher } from 'undici';
import { kindOfAddress } from './address.ts';

export interface Dispatchers {
  /** To the registry that the caller named: anywhere but to a cloud's metadata. */
  readonly named: Dispatcher;
  /** To where the registry at `origin` leads: to private addresses only if it has one itself. */
  ledBy(origin: URL): Dispatcher;
}

export interface GuardedAgents extends Dispatchers {
  close(): Promise<void>;
}

/**
 * Connections that go only to addresses which were looked at after the name was resolved: the one
 * that is judged is the one that is connected to, at each hop. Refuses with `forbidden`.
 */
export function createGuardedAgents(connectMs: number): GuardedAgents {
  const privateHosts = new Set<string>();
  const agentFor = (permits: (address: string, hostname: string) => boolean) => {
    const options = { timeout: connectMs, allowH2: false, lookup: guardedLookup(permits) };
    const connect = buildConnector(options);
    return new Agent({
      connections: 64,
      allowH2: false,
      connect(target, callback) {
        // A name that is an address already is not looked up.
        const { hostname } = target;
        if (isIP(hostname) !== 0 && !permits(hostname, hostname)) {
          callback(refused(hostname), null);
        } else connect(target, callback);
      },
    });
  };
  const named = agentFor((address, hostname) => {
    const kind = kindOfAddress(address);
    if (kind === 'private') privateHosts.add(hostname);
    return kind !== 'metadata';
  });
  const led = agentFor((address) => kindOfAddress(address) === 'public');
  const agents = [named, led];

  return {
    named,
    ledBy: ({ hostname }) => (privateHosts.has(withoutBrackets(hostname)) ? named : led),
    async close() {
      const open = agents.filter((agent) => !agent.destroyed);
      await Promise.all(open.map((agent) => agent.destroy()));
    },
  };
}

function guardedLookup(permits: (address: string, hostname: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      const [first] = addresses ?? [];
      if (error || !first) return callback(error ?? refused(hostname), '');
      if (!addresses.every(({ address }) => permits(address, hostname))) {
        return callback(refused(hostname), '');
      }
      if (options.all) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

/** Not worth another try: it is set up like that. */
function refused(hostname: string): CygniError {
  const message = `${hostname} is at an address that registries are not allowed at`;
  return new CygniError('forbidden', message);
}

function withoutBrackets(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}
