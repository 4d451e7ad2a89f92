export { createLocalDeployer } from './create-local-deployer.ts';
export type { LocalDeployerOptions } from './options.ts';
