import { abortedError, CygniError, type ErrorCode, isCygniError } from '@cygni/core';

/** [code, in words, retryable] by SNS's own error code, with and without the ending that newer SDKs give it. */
const byName: Readonly<Record<string, readonly [ErrorCode, string, boolean]>> = {
  NotFound: ['invalid_configuration', 'the topic does not exist', false],
  AuthorizationError: ['forbidden', 'the credentials may not publish', false],
  InvalidClientTokenId: ['forbidden', 'the credentials are not known', false],
  SignatureDoesNotMatch: ['forbidden', 'the credentials are not known', false],
  ExpiredToken: ['forbidden', 'the credentials have expired', false],
  CredentialsProviderError: ['invalid_configuration', 'there are no credentials', false],
  InvalidParameter: ['internal', 'SNS refused the message', false],
  InvalidParameterValue: ['internal', 'SNS refused the message', false],
  KMSAccessDenied: ['forbidden', 'the topic’s key may not be used', false],
  Throttled: ['rate_limited', 'too many requests', true],
  Throttling: ['rate_limited', 'too many requests', true],
};

const networkCodes: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'EAI_AGAIN', 'ENOTFOUND'],
  ...['ENETUNREACH', 'EHOSTUNREACH'],
]);

export function mapError(error: unknown, signal: AbortSignal): CygniError {
  if (signal.aborted) return abortedError(signal);
  if (isCygniError(error)) return error;
  const failed = (code: ErrorCode, words: string, retryable: boolean) =>
    new CygniError(code, `publishing to SNS: ${words}`, { cause: error, retryable });
  const name = error instanceof Error ? error.name : '';
  const known = byName[name.replace(/(?:Exception|Error)$/, '')] ?? byName[name];
  if (known) return failed(...known);
  const status = statusOf(error);
  if (status !== undefined && status >= 500) {
    return failed('unavailable', `it answered ${status}`, true);
  }
  if (status === 403) return failed('forbidden', 'the credentials may not publish', false);
  // Before the name: the SDK calls a connection that was reset a TimeoutError.
  if (networkCodes.has(codeOf(error))) return failed('unavailable', 'it cannot be reached', true);
  if (name === 'TimeoutError') return failed('timeout', 'no answer in time', true);
  return failed('internal', 'failed', false);
}

function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const metadata: unknown = Reflect.get(error, '$metadata');
  if (typeof metadata !== 'object' || metadata === null) return undefined;
  const status: unknown = Reflect.get(metadata, 'httpStatusCode');
  return typeof status === 'number' ? status : undefined;
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}
