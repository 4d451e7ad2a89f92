export {
  collectGarbageRegularly,
  type GarbageCollectionOptions,
} from './collect-garbage-regularly.ts';
export {
  createImageClient,
  type ImageClientOptions,
  type OciImageClient,
} from './create-image-client.ts';
export { createOciRegistry, type OciRegistryOptions } from './create-oci-registry.ts';
export {
  createRegistryServer,
  type RegistryServer,
  type RegistryServerOptions,
} from './create-registry-server.ts';
export { createDockerCredentials, type DockerCredentialsOptions } from './docker-credentials.ts';
export type { Access, AccessRequest, Authorize } from './server/access.ts';
export type { Collected } from './server/collect-garbage.ts';
