import { abortedError, CygniError, isCygniError } from '@cygni/core';
import { z } from 'zod';

const statusSchema = z.looseObject({
  message: z.string().default(''),
  reason: z.string().default(''),
});

/** The part of an answer's body that the API server means for people. */
export interface ClusterAnswer {
  readonly status: number;
  readonly body: unknown;
  readonly retryAfterMs: number | null;
}

/** An answer that is no success. Kubernetes repeats what was sent, so only its own message is kept, and cut. */
export function answerError(what: string, { status, body }: ClusterAnswer): CygniError {
  const parsed = statusSchema.safeParse(body);
  const said = parsed.success ? parsed.data.message.slice(0, 500) : '';
  const message = `${what}: the API server answered ${status}${said && `: ${said}`}`;
  if (status === 401) return new CygniError('unauthenticated', message);
  if (status === 403) return new CygniError('forbidden', message);
  if (status === 404 || status === 410) return new CygniError('not_found', message);
  if (status === 409) return new CygniError('conflict', message);
  if (status === 429) return new CygniError('rate_limited', message, { retryable: true });
  if (status >= 500) return new CygniError('unavailable', message);
  return new CygniError('internal', message);
}

export function mapError(what: string, error: unknown, signal: AbortSignal): CygniError {
  if (signal.aborted) return abortedError(signal);
  if (isCygniError(error)) return error;
  return new CygniError('unavailable', `${what}: the API server is out of reach`, { cause: error });
}
