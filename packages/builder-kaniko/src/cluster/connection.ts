import type { RequestOptions } from 'node:https';
import { isDeepStrictEqual } from 'node:util';
import { CygniError } from '@cygni/core';
import type { KubeConfig } from '@kubernetes/client-node';
import { Agent, type Dispatcher, request } from 'undici';

export interface ClusterRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Below the API server's address, with a leading slash: `/api/v1/namespaces/builds/pods`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean>>;
  readonly body?: object;
  readonly contentType?: string;
  readonly signal: AbortSignal;
  /** Until the answer begins. Default: 10 s. */
  readonly headersTimeoutMs?: number;
  /** Between two pieces of the answer; 0: as long as it takes, for what is followed or watched. Default: 30 s. */
  readonly bodyTimeoutMs?: number;
}

/** Speaks HTTP to one API server, with the credentials and the TLS options of a kubeconfig. */
export interface ClusterConnection {
  readonly baseUrl: string;
  /**
   * Whatever the status: an answer is no error here. Its body must be read or destroyed.
   * Rejects with what undici rejects with, or the signal's reason.
   */
  request(options: ClusterRequest): Promise<Dispatcher.ResponseData>;
  close(): Promise<void>;
}

/**
 * client-node makes a new agent, hence a new TLS connection, for each call; this one is kept until its credentials change.
 * @throws `invalid_configuration`
 */
export function createClusterConnection(kubeconfig: KubeConfig): ClusterConnection {
  const cluster = kubeconfig.getCurrentCluster();
  if (!cluster?.server) {
    throw new CygniError('invalid_configuration', 'the kubeconfig has no current cluster');
  }
  if (cluster.proxyUrl) {
    throw new CygniError('invalid_configuration', 'a proxy to the API server is not supported');
  }
  const baseUrl = cluster.server.replace(/\/+$/, '');
  let agent: Agent | undefined;
  let agentTls: object = {};
  let closed = false;

  /** Tokens and client certificates may have been renewed since the last request. */
  async function authenticate(): Promise<{ agent: Agent; headers: Record<string, string> }> {
    const options: RequestOptions = {};
    await kubeconfig.applyToHTTPSOptions(options);
    const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername } = options;
    const tls = { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername };
    if (!agent || !isDeepStrictEqual(tls, agentTls)) {
      // Requests under way end on the old one.
      agent?.close().catch(() => {});
      const given = Object.entries(tls).filter(([, value]) => value !== undefined);
      agent = new Agent({ connect: { ...Object.fromEntries(given), timeout: 10_000 } });
      agentTls = tls;
    }
    const headers: Record<string, string> = { accept: 'application/json' };
    for (const [name, value] of Object.entries(options.headers ?? {})) {
      headers[name.toLowerCase()] = String(value);
    }
    if (options.auth) {
      headers.authorization = `Basic ${Buffer.from(options.auth).toString('base64')}`;
    }
    return { agent, headers };
  }

  return {
    baseUrl,

    async request({ method, path, query, body, contentType, signal, ...timeouts }) {
      if (closed) throw new CygniError('closed', 'the connection to the cluster is closed');
      signal.throwIfAborted();
      const { agent: dispatcher, headers } = await authenticate();
      return request(`${baseUrl}${path}`, {
        dispatcher,
        method,
        signal,
        headersTimeout: timeouts.headersTimeoutMs ?? 10_000,
        bodyTimeout: timeouts.bodyTimeoutMs ?? 30_000,
        headers: body ? { ...headers, 'content-type': contentType ?? 'application/json' } : headers,
        ...(query && { query }),
        ...(body && { body: JSON.stringify(body) }),
      });
    },

    async close() {
      closed = true;
      await agent?.destroy();
    },
  };
}
