import { abortedError, CygniError, isCygniError } from '@cygni/core';

const timeouts: ReadonlySet<string> = new Set([
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
]);

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  UND_ERR_SOCKET: 'the connection was cut',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the host cannot be reached',
};

/** In words for the endpoint's owner: no address, for it is whoever runs the server who may know it. */
export function mapError(error: unknown, signal: AbortSignal): CygniError {
  if (signal.aborted) return abortedError(signal);
  for (const each of causesOf(error)) if (isCygniError(each)) return each;
  const codes = causesOf(error).map(codeOf);
  const code = codes.find((each) => each !== '') ?? '';
  if (timeouts.has(code)) return new CygniError('timeout', 'timed out', { cause: error });
  return new CygniError('unavailable', reasonOf(code), { cause: error });
}

function reasonOf(code: string): string {
  const known = reasons[code];
  if (known) return known;
  if (/CERT|SELF_SIGNED|UNABLE_TO_|ALTNAME/.test(code)) return 'the certificate is not trusted';
  if (/SSL|TLS|EPROTO/.test(code)) return 'no TLS connection could be made';
  if (code.startsWith('HPE_') || code.startsWith('UND_ERR')) return 'the answer is not HTTP';
  return 'the request failed';
}

function causesOf(error: unknown): readonly unknown[] {
  const found: unknown[] = [];
  for (let each = error; each instanceof Error && found.length < 5; each = each.cause) {
    found.push(each);
    if (each instanceof AggregateError) found.push(...each.errors);
  }
  return found;
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  return typeof code === 'string' ? code : '';
}
