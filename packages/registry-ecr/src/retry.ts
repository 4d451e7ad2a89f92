import { createRetry, type Retry } from '@cygni/core';
import { mapError } from './map-error.ts';
import type { EcrRegistrySettings } from './options.ts';

/** What AWS may ask for at most; longer than that, the caller is told at once. */
const longestRetryAfterMs = 20_000;

export function createEcrRetry(settings: EcrRegistrySettings['retry']): Retry {
  return createRetry({ ...settings, longestRetryAfterMs }, { mapError, retryAfterMs });
}

function retryAfterMs(error: unknown): number {
  if (typeof error !== 'object' || error === null) return 0;
  const response: unknown = Reflect.get(error, '$response');
  if (typeof response !== 'object' || response === null) return 0;
  const headers: unknown = Reflect.get(response, 'headers');
  if (typeof headers !== 'object' || headers === null) return 0;
  const seconds = Number(Reflect.get(headers, 'retry-after'));
  return seconds > 0 ? seconds * 1_000 : 0;
}
