export { createKanikoPipeline } from './create-kaniko-pipeline.ts';
export type { KanikoFlavourName } from './flavours.ts';
export type { KanikoPipelineOptions, MachineResources } from './options.ts';
