export { createKanikoPipeline } from './create-kaniko-pipeline.ts';
export type { KanikoFlavourName } from './flavours.ts';
export { buildNetworkPolicy } from './job/network-policy.ts';
export type { KanikoPipelineOptions, MachineResources } from './options.ts';
