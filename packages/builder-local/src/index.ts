export { createLocalPipeline } from './create-local-pipeline.ts';
export { detectEngine } from './engine/detect-engine.ts';
export type { EngineName, Limits, LocalPipelineOptions } from './options.ts';
