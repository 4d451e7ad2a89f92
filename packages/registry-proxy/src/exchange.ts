import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { ProxyConfiguration } from './configuration.ts';
import { Failure } from './failure.ts';
import type { Forward } from './forward.ts';
import type { Report } from './report.ts';
import type { UploadSessions } from './upload-sessions.ts';

/** One request of the build, and what it takes to answer it. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  /** Aborted when the build hangs up. */
  readonly signal: AbortSignal;
  /** What was allowed when the request came. */
  readonly configuration: ProxyConfiguration;
  readonly forward: Forward;
  readonly sessions: UploadSessions;
  readonly report: Report;
}

export function respond(
  { request, response }: Pick<Exchange, 'request' | 'response'>,
  status: number,
  headers: Readonly<Record<string, string>>,
  body = '',
): void {
  const length = status === 204 ? {} : { 'content-length': Buffer.byteLength(body) };
  response.writeHead(status, { ...headers, ...length });
  response.end(request.method === 'HEAD' ? undefined : body);
}

export function picked(
  headers: IncomingHttpHeaders,
  names: readonly string[],
): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of names) {
    const value = headers[name];
    if (value !== undefined) found[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return found;
}

export function methodNotAllowed(allow: string): Failure {
  return new Failure(405, 'UNSUPPORTED', 'no such method here', { headers: { allow } });
}
