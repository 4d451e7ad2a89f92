import { lookup as resolve } from 'node:dns';
import http, { type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import https from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import type { Readable } from 'node:stream';
import { Failure } from './failure.ts';

interface UpstreamRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: OutgoingHttpHeaders;
  /** Bytes can be sent again, a stream cannot. */
  readonly body?: Buffer | Readable;
}

export interface Wire extends Disposable {
  /** One request, one answer. @throws Failure if there is no answer */
  send(request: UpstreamRequest, signal: AbortSignal): Promise<IncomingMessage>;
}

const connectWithinMs = 10_000;
/** A registry says nothing while it puts a large blob together. */
const silentForMs = 300_000;

/** Where clouds answer with the credentials of the machine itself. */
const metadata = new BlockList();
metadata.addSubnet('169.254.0.0', 16, 'ipv4');
metadata.addSubnet('fe80::', 10, 'ipv6');
metadata.addAddress('fd00:ec2::254', 'ipv6');

export function createWire(): Wire {
  const options = { keepAlive: true, maxSockets: 32, lookup: guardedLookup };
  const agents = { http: new http.Agent(options), https: new https.Agent(options) };

  async function send(each: UpstreamRequest, signal: AbortSignal): Promise<IncomingMessage> {
    assertNotMetadata(each.url.hostname);
    try {
      return await attempt(each, agents, signal);
    } catch (error) {
      // The upstream closed an idle connection in the moment it was used again: nothing was read of it.
      const again = error instanceof StaleConnection && !isStream(each.body);
      if (!again) throw unavailable(error, signal);
    }
    try {
      return await attempt(each, agents, signal);
    } catch (error) {
      throw unavailable(error, signal);
    }
  }

  return {
    send,
    [Symbol.dispose]() {
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}

class StaleConnection extends Error {
  override readonly name = 'StaleConnection';
}

function attempt(
  each: UpstreamRequest,
  agents: { readonly http: http.Agent; readonly https: https.Agent },
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((fulfil, reject) => {
    const secure = each.url.protocol === 'https:';
    const request = (secure ? https : http).request(each.url, {
      method: each.method,
      headers: each.headers,
      agent: secure ? agents.https : agents.http,
      signal,
      timeout: silentForMs,
    });
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('socket', (socket) => {
      if (!socket.connecting) return;
      const late = () => request.destroy(new Error('no connection in time'));
      const timer = setTimeout(late, connectWithinMs);
      socket.once(secure ? 'secureConnect' : 'connect', () => clearTimeout(timer));
      socket.once('close', () => clearTimeout(timer));
    });
    request.on('error', (error) => {
      reject(request.reusedSocket ? new StaleConnection('stale', { cause: error }) : error);
    });
    if (!isStream(each.body)) {
      request.on('response', fulfil);
      request.end(each.body);
      return;
    }
    const body = each.body;
    request.on('response', (response) => {
      if ((response.statusCode ?? 0) >= 400 && !body.readableEnded) {
        response.once('close', () => request.destroy());
        stop();
      }
      fulfil(response);
    });
    request.on('close', stop);
    // Not `pipeline`: it would destroy the build's own connection, which still has to hear why.
    body.pipe(request);

    function stop(): void {
      body.unpipe(request);
      body.resume();
    }
  });
}

function isStream(body: UpstreamRequest['body']): body is Readable {
  return body !== undefined && !Buffer.isBuffer(body);
}

function unavailable(error: unknown, signal: AbortSignal): Failure {
  if (error instanceof Failure) return error;
  const cause = error instanceof StaleConnection ? error.cause : error;
  const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
  const why = signal.aborted ? 'the request was broken off' : `the registry does not answer${code}`;
  return new Failure(502, 'UNAVAILABLE', why, { reason: 'upstream_unavailable' });
}

function assertNotMetadata(hostname: string): void {
  const address = hostname.replace(/^\[|\]$/g, '');
  const family = isIP(address);
  if (family !== 0 && metadata.check(address, family === 4 ? 'ipv4' : 'ipv6')) {
    throw new Failure(502, 'DENIED', 'the registry points to an address that is not a registry', {
      reason: 'denied',
    });
  }
}

/** The address that was looked at is the one that is connected to. */
const guardedLookup: LookupFunction = (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, addresses) => {
    const [first] = addresses ?? [];
    if (error || !first) return callback(error ?? new Error('no address'), [], 0);
    for (const { address, family } of addresses) {
      if (metadata.check(address, family === 4 ? 'ipv4' : 'ipv6')) {
        return callback(new Error('a link-local address'), [], 0);
      }
    }
    if (options.all) callback(null, addresses);
    else callback(null, first.address, first.family);
  });
};
