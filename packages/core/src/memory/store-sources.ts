import type { Accepted, IdempotencyKey, NewSource } from '../contracts/store.ts';
import { CygniError } from '../errors.ts';
import type { Source } from '../model/source.ts';
import { isoNow, keyOf, record, rememberKey, replayOf, type StoreState } from './store-state.ts';

export function sourceMethods(state: StoreState) {
  const find = (tenantId: string, id: string) => state.sources.get(keyOf(tenantId, id)) ?? null;

  return {
    addSource(source: NewSource, idempotency: IdempotencyKey | null): Accepted<Source> {
      const { tenantId, id, sizeBytes, sha256 } = source;
      const made = replayOf(state, tenantId, idempotency, find);
      const before = made ?? find(tenantId, id);
      if (before && !made && (before.key !== source.key || before.sha256 !== sha256)) {
        throw new CygniError('conflict', `there is another source ${id}`);
      }
      if (before) return { resource: before, replayed: true };
      const resource = { ...source, git: source.git ?? null, createdAt: isoNow(state) };
      state.sources.set(keyOf(tenantId, id), resource);
      if (idempotency) rememberKey(state, tenantId, idempotency, id);
      const data = { sizeBytes, sha256, ...(source.git && { commit: source.git.commit }) };
      record(state, { tenantId, type: 'source.added', subject: id, data });
      return { resource, replayed: false };
    },

    getSource: find,
  };
}
