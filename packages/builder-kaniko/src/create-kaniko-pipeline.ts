import { type BuildPipeline, CygniError, SPEC_VERSION } from '@cygni/core';
import { type KanikoPipelineOptions, parseOptions } from './options.ts';

/**
 * Builds images by Jobs that run kaniko.
 * @throws `invalid_configuration`
 */
export function createKanikoPipeline(options: KanikoPipelineOptions): BuildPipeline {
  const { settings } = parseOptions(options);
  return {
    specVersion: SPEC_VERSION,
    name: 'kaniko',
    supports: { run: true, cache: settings.cache !== null, adopt: true },
    async open() {},
    async start() {
      throw new CygniError('unsupported', 'not yet');
    },
    async close() {},
  };
}
