import { abortedError, CygniError, type ErrorCode, isCygniError } from '@cygni/core';
import { isResponseFailure, type ResponseFailure } from './client/response-failure.ts';

const networkCodes = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_SOCKET',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'UND_ERR_INFO',
]);

/** Whether the same request may well succeed in a moment: the network, 429 or 5xx. */
export function isTransient(error: unknown): boolean {
  if (isResponseFailure(error)) return error.transient;
  if (isCygniError(error)) return false;
  return networkCodes.has(codeOf(error)) || codeOf(error).startsWith('HPE_');
}

/**
 * The CygniError of whatever a call to a registry ended with.
 * @param what the call in words, without secrets: `pull of acme/site@sha256:…`
 */
export function mapError(error: unknown, what: string, signal: AbortSignal): CygniError {
  if (signal.aborted) return abortedError(signal);
  if (isCygniError(error)) return error;
  if (isResponseFailure(error)) {
    const code = codeOfResponse(error);
    return new CygniError(code, `${what}: the registry answered ${error.message}`, {
      cause: error,
      retryable: isTransient(error),
    });
  }
  if (codeOf(error) === 'UND_ERR_DESTROYED' || codeOf(error) === 'UND_ERR_CLOSED') {
    return new CygniError('closed', `${what}: the client is closed`, { cause: error });
  }
  const retryable = isTransient(error);
  if (codeOf(error).endsWith('_TIMEOUT') || codeOf(error) === 'ETIMEDOUT') {
    return new CygniError('timeout', `${what}: the registry did not answer in time`, {
      cause: error,
    });
  }
  if (retryable) {
    return new CygniError('unavailable', `${what}: the registry cannot be reached`, {
      cause: error,
    });
  }
  const code = codeOf(error);
  if (code.startsWith('ERR_SSL_')) {
    const why = `no TLS connection to the registry can be made (${code})`;
    return new CygniError('unavailable', `${what}: ${why}`, { cause: error, retryable: false });
  }
  if (isOfCertificate(code)) {
    const why = `the registry's certificate is not accepted (${code})`;
    return new CygniError('unavailable', `${what}: ${why}`, { cause: error, retryable: false });
  }
  return new CygniError('internal', `${what} failed`, { cause: error });
}

function codeOfResponse(failure: ResponseFailure): ErrorCode {
  if (failure.codes.includes('DIGEST_INVALID')) return 'integrity';
  // A tag that is immutable: 409 at some, 400 at Amazon ECR. That it has the form of a tag was seen to before.
  if (failure.codes.includes('TAG_INVALID') && [400, 409].includes(failure.status)) {
    return 'conflict';
  }
  switch (failure.status) {
    // The caller of the platform did authenticate; it is the platform that the registry refuses.
    case 401:
    case 403:
      return 'forbidden';
    case 404:
      return 'not_found';
    case 405:
    case 501:
      return 'unsupported';
    case 409:
    case 412:
    case 416:
      return 'conflict';
    case 413:
      return 'too_large';
    case 429:
      return 'rate_limited';
    default:
      if (failure.status >= 500) return 'unavailable';
      return failure.status >= 400 ? 'invalid_input' : 'internal';
  }
}

function isOfCertificate(code: string): boolean {
  return /^(?:ERR_TLS_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/.test(code);
}

function codeOf(error: unknown): string {
  return typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    typeof error.code === 'string'
    ? error.code
    : '';
}
