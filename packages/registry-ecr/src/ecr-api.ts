import { ECRClient } from '@aws-sdk/client-ecr';
import type { Retry } from '@cygni/core';
import type { EcrRegistrySettings } from './options.ts';
import { createEcrRetry } from './retry.ts';

/** What every operation works with. */
export interface EcrApi {
  readonly client: ECRClient;
  readonly retry: Retry;
  readonly registryId: string;
}

export function createEcrApi(settings: EcrRegistrySettings): EcrApi {
  const { timeouts, endpoint, credentials } = settings;
  const client = new ECRClient({
    region: settings.region,
    // Retries are ours: the SDK's are over within a fifth of a second.
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: timeouts.connectMs,
      requestTimeout: timeouts.requestMs,
      // Without it a request that takes too long is only warned of.
      throwOnRequestTimeout: true,
      socketTimeout: timeouts.idleMs,
    },
    // The SDK refuses both together with an endpoint of one's own.
    ...(endpoint === undefined
      ? { useFipsEndpoint: settings.fips, useDualstackEndpoint: settings.dualStack }
      : { endpoint }),
    ...(credentials === undefined ? {} : { credentials }),
  });
  return { client, retry: createEcrRetry(settings.retry), registryId: settings.registryId };
}
