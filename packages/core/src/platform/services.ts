import type { Call } from '../contracts/call.ts';
import type { ServiceKey } from '../contracts/deployer.ts';
import { CygniError } from '../errors.ts';
import type { Revision, Service } from '../model/deployment.ts';
import type { Page, PageRequest } from '../model/page.ts';
import type { PlatformContext } from './context.ts';

export interface Services {
  /** @throws `not_found` */
  get(key: ServiceKey, call: Call): Promise<Service>;
  list(tenantId: string, page: PageRequest, call: Call): Promise<Page<Service>>;
  /** @throws `not_found` */
  listRevisions(key: ServiceKey, page: PageRequest, call: Call): Promise<Page<Revision>>;
}

export function createServices({ store }: PlatformContext): Services {
  async function get(key: ServiceKey, call: Call): Promise<Service> {
    const service = await store.getService(key, call);
    if (!service) throw new CygniError('not_found', `no service ${key.service}`);
    return service;
  }

  return {
    get,
    list: (tenantId, page, call) => store.listServices(tenantId, page, call),
    async listRevisions(key, page, call) {
      await get(key, call);
      return store.listRevisions(key, page, call);
    },
  };
}
