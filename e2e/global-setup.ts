import type { TestProject } from 'vitest/node';
import { type Services, startServices } from './support/services.ts';

declare module 'vitest' {
  interface ProvidedContext {
    readonly services: Services;
  }
}

/** One cluster, one S3 and one PostgreSQL for a whole run. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const { cluster, s3, postgresUrl, ...owned } = await startServices();
  project.provide('services', { cluster, s3, postgresUrl });
  // For kubectl, and for the packages' own tests, which know nothing of ours.
  Object.assign(process.env, {
    KUBECONFIG: cluster.kubeconfig,
    REGISTRY: cluster.registry,
    KANIKO_IMAGE: cluster.kanikoImage,
    KANIKO_FLAVOUR: cluster.kanikoFlavour,
    NODE_IP: cluster.nodeIp,
    ...(cluster.programs === null ? {} : { CLUSTER_PROGRAMS: cluster.programs }),
  });
  return async () => {
    await owned[Symbol.asyncDispose]();
  };
}
