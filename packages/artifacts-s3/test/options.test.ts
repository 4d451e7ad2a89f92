import { createS3ArtifactStore, type S3ArtifactStoreOptions } from '@cygni/artifacts-s3';
import { isCygniError } from '@cygni/core';
import { describe, expect, it } from 'vitest';

const wrong: readonly (readonly [string, Partial<S3ArtifactStoreOptions>])[] = [
  ['bucket', { bucket: 'hunter2/../x' }],
  ['prefix', { prefix: '../hunter2' }],
  ['endpoint', { endpoint: 'ftp://hunter2' }],
  ['endpoint', { endpoint: 'http://user:hunter2@minio' }],
  ['timeouts.idleMs', { timeouts: { idleMs: 0 } }],
  ['retry.retries', { retry: { retries: 1_000 } }],
  [
    'lifecycle.abortIncompleteUploadsAfterDays',
    { lifecycle: { abortIncompleteUploadsAfterDays: 0 } },
  ],
];

describe('the options of an S3 artifact store', () => {
  it.each(wrong)('are refused with the name of %s and without its value', (name, options) => {
    const refused = attempt(() => createS3ArtifactStore({ bucket: 'artifacts', ...options }));
    expect(isCygniError(refused, 'invalid_configuration')).toBe(true);
    expect(String(refused)).toContain(name);
    expect(String(refused)).not.toContain('hunter2');
  });

  it('say when a store has no conditional writes', async () => {
    const store = createS3ArtifactStore({ bucket: 'artifacts', conditionalWrites: false });
    expect(store.supports).toEqual({ presign: true, ifAbsent: false });
    await store.close();
  });
});

function attempt(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}
