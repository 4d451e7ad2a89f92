import type { IncomingMessage } from 'node:http';

/** RFC 9110, 7.6.1, and what proxies used to add. They are about one connection, and never passed on. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Replaced and not extended: whoever connects here is not trusted to say where a request came from. */
const forwarding = new Set([
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-real-ip',
]);

/** End-to-end headers as name, value, name, value …, with their case, order and repetitions. */
export function endToEndHeaders(message: IncomingMessage): string[] {
  const named = new Set(
    (message.headers.connection ?? '').split(',').map((each) => each.trim().toLowerCase()),
  );
  const kept: string[] = [];
  for (let index = 0; index + 1 < message.rawHeaders.length; index += 2) {
    const name = message.rawHeaders[index] ?? '';
    const key = name.toLowerCase();
    // `Connection: host` must not take away what the request cannot do without.
    const droppable = key !== 'host' && key !== 'content-length';
    if (hopByHop.has(key) || (droppable && named.has(key))) continue;
    kept.push(name, message.rawHeaders[index + 1] ?? '');
  }
  return kept;
}

/** The headers of a request as the instance gets it. */
export function requestHeaders(request: IncomingMessage): string[] {
  const headers = endToEndHeaders(request);
  const kept: string[] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const key = (headers[index] ?? '').toLowerCase();
    if (!forwarding.has(key) && key !== 'expect') {
      kept.push(headers[index] ?? '', headers[index + 1] ?? '');
    }
  }
  if (request.headers['transfer-encoding'] !== undefined) {
    kept.push('Transfer-Encoding', 'chunked');
  } else if (request.headers['content-length'] === undefined && mayHaveBody(request.method)) {
    kept.push('Content-Length', '0');
  }
  const address = request.socket.remoteAddress ?? '';
  kept.push('X-Forwarded-For', address.replace(/^::ffff:/, ''));
  kept.push('X-Forwarded-Proto', 'http');
  if (request.headers.host !== undefined) kept.push('X-Forwarded-Host', request.headers.host);
  return kept;
}

function mayHaveBody(method: string | undefined): boolean {
  return method === 'POST' || method === 'PUT' || method === 'PATCH';
}
