import { createRetry, type Retry } from '@cygni/core';
import { isTransient, mapError } from '../map-error.ts';
import type { ImageClientSettings } from '../options.ts';
import { isResponseFailure } from './response-failure.ts';

export function createImageRetry(settings: ImageClientSettings['retry']): Retry {
  return createRetry(settings, {
    mapError,
    isTransient,
    retryAfterMs: (error) => (isResponseFailure(error) ? (error.retryAfterMs ?? 0) : 0),
  });
}
