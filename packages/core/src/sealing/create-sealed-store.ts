import type { Accepted, NewBuild, NewDeployment, Store } from '../contracts/store.ts';
import type { Build } from '../model/build.ts';
import type { Revision } from '../model/deployment.ts';
import type { Page } from '../model/page.ts';
import { resolveOptions, type SealedStoreOptions } from './options.ts';
import { createSealer } from './sealer.ts';
import { openVariables, sealVariables } from './variables.ts';

/** Every method that takes or gives values of tenants. */
type SealedMethods = Pick<
  Store,
  | 'acceptBuild'
  | 'getBuild'
  | 'listBuilds'
  | 'claimBuild'
  | 'cancelBuild'
  | 'acceptDeployment'
  | 'claimDeployment'
  | 'getRevision'
  | 'listRevisions'
  | 'listSettledServices'
>;

/**
 * A store in which the values of build arguments and of environments lie sealed: encrypted, and bound to their tenant
 * and name. What lay there before is read as it is. A value that cannot be opened is shown as such, and the build or
 * deployment that needs it fails and says which. Opens and closes the store that it is given.
 * @throws `invalid_configuration`
 */
export function createSealedStore(store: Store, options: SealedStoreOptions): Store {
  const methods = sealedMethods(store, options);
  return new Proxy(store, {
    get(target, property) {
      if (property in methods) return Reflect.get(methods, property);
      const value: unknown = Reflect.get(target, property);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function sealedMethods(store: Store, options: SealedStoreOptions): SealedMethods {
  const sealer = createSealer(resolveOptions(options).keys);

  const argumentsOf = (tenantId: string) => ({ tenantId, kind: 'build argument' }) as const;
  const environmentOf = (tenantId: string) => ({ tenantId, kind: 'environment variable' }) as const;

  function sealBuild(build: NewBuild): NewBuild {
    const { tenantId, buildArguments } = build;
    const sealed = sealVariables(sealer, buildArguments, argumentsOf(tenantId));
    return { ...build, buildArguments: sealed };
  }

  function openBuild(build: Build): Build {
    const { tenantId, buildArguments } = build;
    const opened = openVariables(sealer, buildArguments, argumentsOf(tenantId));
    return { ...build, buildArguments: opened };
  }

  function sealDeployment(deployment: NewDeployment): NewDeployment {
    const { tenantId, target } = deployment;
    if (!('environment' in target)) return deployment;
    const environment = sealVariables(sealer, target.environment, environmentOf(tenantId));
    return { ...deployment, target: { ...target, environment } };
  }

  function openRevision(revision: Revision): Revision {
    const { tenantId, environment } = revision;
    const opened = openVariables(sealer, environment, environmentOf(tenantId));
    return { ...revision, environment: opened };
  }

  return {
    async acceptBuild(build, ...rest) {
      const accepted: Accepted<Build> = await store.acceptBuild(sealBuild(build), ...rest);
      return { ...accepted, resource: openBuild(accepted.resource) };
    },
    getBuild: async (...all) => ifAny(await store.getBuild(...all), openBuild),
    listBuilds: async (...all) => mapPage(await store.listBuilds(...all), openBuild),
    async claimBuild(...all) {
      const claim = await store.claimBuild(...all);
      return claim && { ...claim, build: openBuild(claim.build) };
    },
    cancelBuild: async (...all) => ifAny(await store.cancelBuild(...all), openBuild),
    acceptDeployment: (deployment, ...rest) =>
      store.acceptDeployment(sealDeployment(deployment), ...rest),
    async claimDeployment(...all) {
      const claim = await store.claimDeployment(...all);
      if (!claim) return null;
      const { revision, stable } = claim;
      return { ...claim, revision: openRevision(revision), stable: ifAny(stable, openRevision) };
    },
    getRevision: async (...all) => ifAny(await store.getRevision(...all), openRevision),
    listRevisions: async (...all) => mapPage(await store.listRevisions(...all), openRevision),
    async listSettledServices(...all) {
      return mapPage(await store.listSettledServices(...all), ({ service, stable }) => ({
        service,
        stable: openRevision(stable),
      }));
    },
  };
}

function ifAny<Item>(item: Item | null, map: (item: Item) => Item): Item | null {
  return item === null ? null : map(item);
}

function mapPage<Item>(page: Page<Item>, map: (item: Item) => Item): Page<Item> {
  return { ...page, items: page.items.map(map) };
}
