import type { ImageFailure } from '@aws-sdk/client-ecr';
import { abortedError, CygniError, type ErrorCode, isCygniError } from '@cygni/core';

type Meaning = readonly [code: ErrorCode, inWords: string, retryable: boolean];

const throttled: Meaning = ['rate_limited', 'too many requests', true];
const refused: Meaning = ['forbidden', 'AWS refuses the credentials', false];
const busy: Meaning = ['unavailable', 'AWS is busy with another request', true];
const absent: Meaning = ['not_found', 'it is not there', false];
const invalid: Meaning = ['invalid_input', 'AWS does not accept a parameter', false];
const unreachable: Meaning = ['unavailable', 'AWS cannot be reached', true];

/** By the names of ECR's own errors, and of those that every service of AWS answers with. */
const byName: Readonly<Record<string, Meaning>> = {
  ThrottlingException: throttled,
  Throttling: throttled,
  ThrottledException: throttled,
  RequestThrottledException: throttled,
  RequestLimitExceeded: throttled,
  TooManyRequestsException: throttled,

  AccessDeniedException: ['forbidden', 'the credentials do not allow it', false],
  UnrecognizedClientException: refused,
  InvalidClientTokenId: refused,
  InvalidSignatureException: refused,
  SignatureDoesNotMatch: refused,
  IncompleteSignature: refused,
  MissingAuthenticationTokenException: refused,
  OptInRequired: refused,
  ExpiredTokenException: ['forbidden', 'the credentials have expired', false],
  ExpiredToken: ['forbidden', 'the credentials have expired', false],
  CredentialsProviderError: ['invalid_configuration', 'there are no credentials', false],
  TokenProviderError: ['invalid_configuration', 'there are no credentials', false],

  RepositoryNotFoundException: ['not_found', 'there is no such repository', false],
  ImageNotFoundException: ['not_found', 'there is no such image', false],
  LayersNotFoundException: ['not_found', 'layers of the image are missing', false],
  ReferencedImagesNotFoundException: ['not_found', 'images of the index are missing', false],
  ScanNotFoundException: ['not_found', 'the image was never scanned', false],
  LifecyclePolicyNotFoundException: absent,
  RepositoryPolicyNotFoundException: absent,
  RepositoryAlreadyExistsException: ['conflict', 'the repository exists', false],
  ImageTagAlreadyExistsException: ['conflict', 'the tag is taken and immutable', false],
  ImageAlreadyExistsException: ['conflict', 'the image is there already', false],
  ImageDigestDoesNotMatchException: ['integrity', 'the digest is not that of the manifest', false],
  LimitExceededException: ['rate_limited', 'a quota of the account is used up', false],
  KmsException: ['invalid_configuration', 'the KMS key cannot be used', false],
  InvalidParameterException: invalid,
  InvalidTagParameterException: invalid,
  TooManyTagsException: invalid,
  ValidationException: invalid,
  UnknownOperationException: ['unsupported', 'this API does not know the request', false],

  RequestTimeout: ['timeout', 'the request took too long to arrive', true],
  RequestTimeoutException: ['timeout', 'the request took too long to arrive', true],
  PriorRequestNotComplete: busy,
  TransactionInProgressException: busy,
  IDPCommunicationError: ['unavailable', 'the identity provider cannot be reached', true],
};

/** [code, retryable] by the `failureCode` of BatchGetImage and BatchDeleteImage. */
const byFailureCode: Readonly<Record<string, readonly [ErrorCode, boolean]>> = {
  ImageNotFound: ['not_found', false],
  InvalidImageDigest: ['invalid_input', false],
  InvalidImageTag: ['invalid_input', false],
  ImageReferencedByManifestList: ['conflict', false],
  KmsError: ['invalid_configuration', false],
  ImageInaccessible: ['conflict', false],
  UpstreamAccessDenied: ['forbidden', false],
  UpstreamTooManyRequests: ['rate_limited', true],
  UpstreamUnavailable: ['unavailable', true],
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
]);

/**
 * The CygniError of whatever a call to AWS ended with.
 * @param what the call in words, without secrets: `tag acme/site:1`
 */
export function mapError(error: unknown, what: string, signal: AbortSignal): CygniError {
  if (signal.aborted) return abortedError(signal);
  if (isCygniError(error)) return error;
  const [code, words, retryable] = meaningOf(error);
  return new CygniError(code, `${what}: ${words}`, { cause: withoutAnswer(error), retryable });
}

/** The CygniError of one image that a request for several failed for. */
export function mapFailure(
  { failureCode, failureReason }: Omit<ImageFailure, 'imageId'>,
  what: string,
): CygniError {
  const name: string = failureCode ?? 'nothing';
  const [code, retryable] = byFailureCode[name] ?? ['internal', false];
  const cause = new Error(failureReason ?? name);
  cause.name = name;
  return new CygniError(code, `${what}: AWS answers ${name}`, { cause, retryable });
}

function meaningOf(error: unknown): Meaning {
  const { httpStatusCode: status = 0, clockSkewCorrected = false } = metadataOf(error);
  const name = error instanceof Error ? error.name : '';
  // The SDK has learned the time from the answer, and signs the next request right.
  if (clockSkewCorrected) return ['unavailable', 'the clocks differ', true];
  // Before the name: what a load balancer answers in HTML is a SyntaxError to the SDK.
  if (status >= 500) return ['unavailable', `AWS answered ${status}`, true];
  const known = byName[name];
  if (known) return known;
  if (status === 429) return throttled;
  if (status === 401 || status === 403) return refused;
  if (status === 404) return ['invalid_configuration', 'no ECR answers at the endpoint', false];
  if (status === 408) return ['timeout', 'the request took too long to arrive', true];
  if (status === 413) return ['too_large', 'AWS takes nothing that large', false];
  if (status >= 300) return ['internal', `AWS answered ${status}`, false];
  // Before the name: the SDK calls a connection that was reset a TimeoutError.
  const code = codeOf(error);
  if (networkCodes.has(code) || code.startsWith('HPE_')) return unreachable;
  if (name === 'TimeoutError' || code === 'ETIMEDOUT') {
    return ['timeout', 'AWS did not answer in time', true];
  }
  if (/^(?:ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/.test(code)) {
    return ['unavailable', "AWS's certificate is not accepted", false];
  }
  // With a good status: the answer was cut, or is not one of ECR's.
  if (name === 'SyntaxError') return ['unavailable', 'the answer cannot be read', true];
  return ['internal', 'failed', false];
}

function metadataOf(error: unknown): { httpStatusCode?: number; clockSkewCorrected?: boolean } {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return {};
  return typeof error.$metadata === 'object' && error.$metadata !== null ? error.$metadata : {};
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}

/** The SDK keeps the answer in fields of its errors, and JSON's own errors quote it: a token may be in it. */
function withoutAnswer(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const quotes = error.name === 'SyntaxError';
  if (!quotes && !('$metadata' in error)) return error;
  const clean = new Error(quotes ? 'not JSON' : error.message);
  clean.name = error.name;
  return Object.assign(clean, { $metadata: metadataOf(error) });
}
