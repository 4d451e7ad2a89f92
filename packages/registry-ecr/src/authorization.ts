import { GetAuthorizationTokenCommand } from '@aws-sdk/client-ecr';
import {
  abortedError,
  type Call,
  type Clock,
  CygniError,
  type RegistryCredentials,
} from '@cygni/core';
import type { EcrApi } from './ecr-api.ts';
import { isSameRegistry } from './host.ts';

export interface Authorization {
  /** @throws `forbidden`, `unavailable`, `invalid_configuration` */
  obtain(call: Call): Promise<RegistryCredentials>;
  /** The registry refused them before their time. */
  forget(credentials: RegistryCredentials): void;
  close(): void;
}

interface Token {
  readonly credentials: RegistryCredentials;
  /** Epoch milliseconds. */
  readonly renewAt: number;
}

/** A build that is handed a token may take two hours, and pushes at its end. */
const timeLeftMs = 3 * 3_600_000;

/** Keeps one token, which AWS gives for 12 hours, and asks for the next one once, however many want it. */
export function createAuthorization(
  api: EcrApi,
  host: string,
  clock: Pick<Clock, 'now'>,
): Authorization {
  const closing = new AbortController();
  let current: Token | undefined;
  let pending: Promise<RegistryCredentials> | undefined;

  async function renew(log: Call['log']): Promise<RegistryCredentials> {
    const call = { signal: closing.signal, log };
    const asked = clock.now().getTime();
    const credentials = await requestToken(api, host, call);
    const lifetimeMs = Date.parse(credentials.expiresAt ?? '') - asked;
    const renewAt = asked + lifetimeMs - Math.min(timeLeftMs, lifetimeMs / 2);
    current = { credentials, renewAt };
    return credentials;
  }

  return {
    obtain({ signal, log }) {
      if (current && clock.now().getTime() < current.renewAt) {
        return Promise.resolve(current.credentials);
      }
      pending ??= renew(log).finally(() => {
        pending = undefined;
      });
      return unlessAborted(pending, signal);
    },
    forget(credentials) {
      if (current?.credentials.password === credentials.password) current = undefined;
    },
    close() {
      closing.abort(new CygniError('closed', 'the registry is closed'));
    },
  };
}

async function requestToken(api: EcrApi, host: string, call: Call): Promise<RegistryCredentials> {
  const what = `credentials of ${host}`;
  const { authorizationData = [] } = await api.retry(what, call, () =>
    api.client.send(
      // Else it is the registry of whoever asks, and not of another account.
      new GetAuthorizationTokenCommand({ registryIds: [api.registryId] }),
      { abortSignal: call.signal },
    ),
  );
  const [given] = authorizationData;
  const [username, password] = Buffer.from(given?.authorizationToken ?? '', 'base64')
    .toString('utf8')
    .split(/:(.*)/s);
  if (!given?.expiresAt || !username || !password) {
    throw new CygniError('unavailable', `${what}: AWS answered without a token`);
  }
  const served = URL.parse(given.proxyEndpoint ?? '')?.host ?? '';
  if (!isSameRegistry(served, host)) {
    throw new CygniError(
      'invalid_configuration',
      `${what}: AWS gives credentials for ${served || 'no registry'}`,
    );
  }
  return { username, password, expiresAt: given.expiresAt.toISOString(), reach: 'account' };
}

/** Others wait for the same answer: who leaves does not end it. */
function unlessAborted<Value>(value: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const { promise, resolve, reject } = Promise.withResolvers<Value>();
  const abort = () => reject(abortedError(signal));
  signal.addEventListener('abort', abort, { once: true });
  value.then(resolve, reject);
  return promise.finally(() => signal.removeEventListener('abort', abort));
}
