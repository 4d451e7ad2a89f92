import { abortedError, CygniError, type ErrorCode, isCygniError } from '@cygni/core';

/** [code, in words, retryable] by S3's own error code. */
const byName: Readonly<Record<string, readonly [ErrorCode, string, boolean]>> = {
  NoSuchBucket: ['invalid_configuration', 'the bucket does not exist', false],
  NoSuchUpload: ['not_found', 'the upload does not exist', false],
  PermanentRedirect: ['invalid_configuration', 'the bucket is in another region', false],
  AuthorizationHeaderMalformed: ['invalid_configuration', 'the region is another', false],
  CredentialsProviderError: ['invalid_configuration', 'there are no credentials', false],
  ExpiredToken: ['forbidden', 'the credentials have expired', false],
  BadDigest: ['integrity', 'the bytes were damaged on their way', true],
  InvalidDigest: ['integrity', 'the bytes were damaged on their way', true],
  XAmzContentSHA256Mismatch: ['integrity', 'the bytes were damaged on their way', true],
  IncompleteBody: ['unavailable', 'the connection ended too early', true],
  EntityTooLarge: ['too_large', 'the store takes nothing that large', false],
  RequestTimeout: ['timeout', 'the request took too long to arrive', true],
  RequestTimeTooSkewed: ['unavailable', 'the clocks differ', true],
  SlowDown: ['rate_limited', 'too many requests', true],
  Throttling: ['rate_limited', 'too many requests', true],
  ConditionalRequestConflict: ['unavailable', 'another write was in progress', true],
  OperationAborted: ['unavailable', 'another change was in progress', true],
  NotImplemented: ['unsupported', 'the store cannot do this', false],
};

const networkCodes: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'EAI_AGAIN',
  'ENOTFOUND',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'ERR_STREAM_PREMATURE_CLOSE',
]);

/**
 * The CygniError of whatever a call to S3 ended with.
 * @param what the call in words, without secrets: `get of acme/sources/1.tar.gz`
 */
export function mapError(error: unknown, what: string, signal: AbortSignal): CygniError {
  if (signal.aborted) return abortedError(signal);
  if (isCygniError(error)) return error;
  const cause = withoutRequest(error);
  const failed = (code: ErrorCode, words: string, retryable: boolean) =>
    new CygniError(code, `${what}: ${words}`, { cause, retryable });

  const name = error instanceof Error ? error.name : '';
  const known = byName[name];
  if (known) return failed(...known);
  const status = statusOf(error);
  if (status !== undefined && status >= 300) return failed(...byStatus(status));
  // Before the name: the SDK calls a connection that was reset a TimeoutError.
  if (networkCodes.has(codeOf(error)) || codeOf(error).startsWith('HPE_')) {
    return failed('unavailable', 'the store cannot be reached', true);
  }
  if (name === 'TimeoutError' || codeOf(error) === 'ETIMEDOUT') {
    return failed('timeout', 'the store did not answer in time', true);
  }
  if (/^(?:ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/.test(codeOf(error))) {
    return failed('unavailable', "the store's certificate is not accepted", false);
  }
  const message = error instanceof Error ? error.message : '';
  if (message.startsWith('Region is missing')) {
    return failed('invalid_configuration', 'no region is configured', false);
  }
  if (message.startsWith('Checksum mismatch')) {
    return failed('integrity', 'the bytes are not those that were stored', true);
  }
  return failed('internal', 'failed', false);
}

function byStatus(status: number): readonly [ErrorCode, string, boolean] {
  switch (status) {
    case 401:
    case 403:
      return ['forbidden', 'the store refused the credentials, or lets them do less', false];
    case 404:
      return ['not_found', 'it is not there', false];
    case 405:
    case 501:
      return ['unsupported', 'the store cannot do this', false];
    case 408:
      return ['timeout', 'the request took too long to arrive', true];
    case 409:
      return ['unavailable', 'another change was in progress', true];
    case 412:
    case 416:
      return ['conflict', 'it has changed', false];
    case 413:
      return ['too_large', 'the store takes nothing that large', false];
    case 429:
      return ['rate_limited', 'too many requests', true];
    default:
      if (status >= 500) return ['unavailable', `the store answered ${status}`, true];
      if (status < 400) return ['invalid_configuration', 'the bucket is elsewhere', false];
      return ['internal', `the store answered ${status}`, false];
  }
}

/** HTTP status of an answer that was an error, also one that was no XML. */
function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const metadata: unknown = Reflect.get(error, '$metadata');
  const status: unknown =
    typeof metadata === 'object' && metadata !== null
      ? Reflect.get(metadata, 'httpStatusCode')
      : undefined;
  return typeof status === 'number' ? status : undefined;
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}

/** S3 repeats the request that it refused, with a session token in it, in fields of the error. */
function withoutRequest(error: unknown): unknown {
  if (!(error instanceof Error) || !('$metadata' in error)) return error;
  const clean = new Error(error.message);
  clean.name = error.name;
  if (error.stack !== undefined) clean.stack = error.stack;
  return Object.assign(clean, { $metadata: error.$metadata });
}
