import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CygniError, type Registry } from '@cygni/core';
import { registry } from '../../support/idle-adapters.ts';
import { imageBytes } from './scripted-pipeline.ts';

/** Knows the images that the scripted pipeline has pushed. */
export function createScriptedRegistry(images: string): Registry {
  return {
    ...registry,
    name: 'scripted',
    async resolve(_repository, digest) {
      const found = await stat(join(images, digest)).catch(() => null);
      if (!found) throw new CygniError('not_found', 'no such image');
      return { digest, mediaType: 'x', sizeBytes: imageBytes, platforms: [] };
    },
  };
}
