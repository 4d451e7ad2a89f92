import type { ServiceKey } from '../contracts/deployer.ts';
import type { Revision, Service } from '../model/deployment.ts';
import type { Page, PageRequest } from '../model/page.ts';
import {
  checkCursor,
  isoNow,
  keyOf,
  listPage,
  recordService,
  type ServiceRecord,
  type StoreState,
} from './store-state.ts';

/** Revision numbers compare as text here; they are padded to the same length. */
const numberLength = 10;

export function serviceMethods(state: StoreState) {
  const find = ({ tenantId, service }: ServiceKey): ServiceRecord | undefined =>
    state.services.get(keyOf(tenantId, service));

  function isRunning({ service }: ServiceRecord): boolean {
    return [...state.deployments.values()].some(
      ({ resource }) =>
        resource.tenantId === service.tenantId &&
        resource.service === service.name &&
        resource.state === 'RUNNING',
    );
  }

  return {
    getService: (key: ServiceKey): Service | null => find(key)?.service ?? null,

    listServices(tenantId: string, page: PageRequest): Page<Service> {
      const own = [...state.services.values()]
        .map(({ service }) => service)
        .filter((service) => service.tenantId === tenantId);
      return listPage(own, page, ({ createdAt, name }) => ({ createdAt, id: name }));
    },

    getRevision: (key: ServiceKey, number: number): Revision | null =>
      find(key)?.revisions.find((revision) => revision.number === number) ?? null,

    listRevisions(key: ServiceKey, page: PageRequest): Page<Revision> {
      checkCursor(page, (id) => /^\d+$/.test(id));
      return listPage(find(key)?.revisions ?? [], page, ({ createdAt, number }) => ({
        createdAt,
        id: String(number).padStart(numberLength, '0'),
      }));
    },

    listSettledServices(
      page: PageRequest,
    ): Page<{ readonly service: Service; readonly stable: Revision }> {
      const settled = [...state.services.values()].flatMap((each) => {
        const stable = each.revisions[(each.service.stableRevision ?? 0) - 1];
        return stable && !isRunning(each) ? [{ service: each.service, stable }] : [];
      });
      return listPage(settled, page, ({ service }) => ({
        createdAt: service.createdAt,
        id: `${service.tenantId}/${service.name}`,
      }));
    },

    setServiceUrl(key: ServiceKey, url: string): void {
      const found = find(key);
      if (!found || found.service.url === url) return;
      found.service = { ...found.service, url, updatedAt: isoNow(state) };
      recordService(state, 'service.url_changed', found.service, { url });
    },
  };
}
