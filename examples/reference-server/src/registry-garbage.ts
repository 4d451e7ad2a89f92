import type { Logger, Platform } from '@cygni/core';
import { collectGarbageRegularly, type RegistryServer } from '@cygni/registry-oci';
import { Counter } from 'prom-client';

const timeoutMs = 30 * 60_000;

/** Frees the disk of images that were deleted, and counts it, until the platform stops. */
export function collectRegistryGarbage(
  registry: RegistryServer,
  { metrics, stopping }: Pick<Platform, 'metrics' | 'stopping'>,
  { intervalMs, log }: { readonly intervalMs: number; readonly log: Logger },
): Promise<void> {
  const collections = new Counter({
    name: 'cygni_registry_collections_total',
    help: 'Garbage collections of the embedded registry.',
    labelNames: ['result'],
    registers: [metrics],
  });
  const freedBytes = new Counter({
    name: 'cygni_registry_freed_bytes_total',
    help: 'Bytes that garbage collections of the embedded registry have freed.',
    registers: [metrics],
  });
  for (const result of ['succeeded', 'failed']) collections.inc({ result }, 0);
  return collectGarbageRegularly(registry, {
    intervalMs,
    timeoutMs,
    signal: stopping,
    log,
    onCollection(collected) {
      collections.inc({ result: collected ? 'succeeded' : 'failed' });
      freedBytes.inc(collected?.freedBytes ?? 0);
    },
  });
}
