import { randomBytes, randomUUID } from 'node:crypto';
import {
  createMemoryStore,
  createSealedStore,
  healthCheckSchema,
  isCygniError,
  type NewBuild,
  type NewDeployment,
  rolloutSchema,
  type SealingKey,
  type Store,
} from '@cygni/core';
import { beforeEach, describe, expect, it } from 'vitest';
import { testCall } from '../fixtures/call.ts';

const secret = 'hunter2-and-more';
const sealed = /^cygni\.sealed\.1\.[\w-]+\.[\w-]+$/;
const page = { limit: 10, cursor: null };
const reservation = {
  amount: 0,
  currency: 'USD',
  limit: { cap: null, periodStart: '2026-01-01T00:00:00.000Z', periodEnd: null },
};
const keyNamed = (id: string): SealingKey => ({ id, key: randomBytes(32) });

let inner: Store;
beforeEach(() => {
  inner = createMemoryStore();
});

async function newBuild(buildArguments: Record<string, string>, tenantId = 'acme') {
  const source = { id: randomUUID(), tenantId, key: 'k', sizeBytes: 1, sha256: 'b'.repeat(64) };
  await inner.addSource(source, null, testCall());
  const build: NewBuild = {
    id: randomUUID(),
    tenantId,
    sourceId: source.id,
    repository: 'site',
    tags: [],
    dockerfile: 'Dockerfile',
    target: null,
    buildArguments,
    machine: 'small',
    timeoutSeconds: 60,
    maximumAttempts: 1,
  };
  return build;
}

/** A build whose arguments went into `store`; its id. */
async function accept(store: Store, buildArguments: Record<string, string>, tenantId = 'acme') {
  const build = await newBuild(buildArguments, tenantId);
  const { resource } = await store.acceptBuild(build, reservation, null, testCall());
  expect(resource.buildArguments).toEqual(buildArguments);
  return resource.id;
}

async function deploy(store: Store, target: NewDeployment['target']) {
  const deployment: NewDeployment = {
    id: randomUUID(),
    tenantId: 'acme',
    service: 'site',
    rollout: rolloutSchema.parse({}),
    message: null,
    target,
  };
  await store.acceptDeployment(deployment, reservation, null, testCall());
  const claim = await store.claimDeployment(deployment.id, 30, testCall());
  const fence = { id: deployment.id, attempt: 1 };
  const finish = { state: 'SUCCEEDED', evidence: null, charge: 0, url: null } as const;
  await store.finishDeployment(fence, finish, testCall());
  return claim;
}

const revisionOf = (environment: Record<string, string>) => ({
  repository: 'acme/site',
  digest: `sha256:${'a'.repeat(64)}`,
  buildId: null,
  environment,
  arguments: null,
  healthCheck: healthCheckSchema.parse({}),
});

async function argumentsIn(store: Store, id: string, tenantId = 'acme') {
  return (await store.getBuild(tenantId, id, testCall()))?.buildArguments;
}

describe('a sealed store', () => {
  it('gives each value only sealed to the store around which it is, and back as it was', async () => {
    const store = createSealedStore(inner, { keys: [keyNamed('one')] });
    const id = await accept(store, { TOKEN: secret, EMPTY: '', NUL: '\0🚀' });
    const stored = await argumentsIn(inner, id);
    for (const value of Object.values(stored ?? {})) expect(value).toMatch(sealed);
    expect(JSON.stringify(stored)).not.toContain(secret);
    expect(await argumentsIn(store, id)).toEqual({ TOKEN: secret, EMPTY: '', NUL: '\0🚀' });
    const { items } = await store.listBuilds('acme', page, testCall());
    expect(items[0]?.buildArguments.TOKEN).toBe(secret);
    expect((await store.cancelBuild('acme', id, testCall()))?.buildArguments.TOKEN).toBe(secret);
  });

  it('does so for environments, which a rollback finds as they were', async () => {
    const store = createSealedStore(inner, { keys: [keyNamed('one')] });
    await deploy(store, revisionOf({ PASSWORD: secret }));
    const second = await deploy(store, revisionOf({ PASSWORD: 'another' }));
    expect(second?.stable?.environment).toEqual({ PASSWORD: secret });
    expect(second?.revision.environment).toEqual({ PASSWORD: 'another' });
    const back = await deploy(store, { rollbackTo: null });
    expect(back?.revision.environment).toEqual({ PASSWORD: secret });
    const service = { tenantId: 'acme', service: 'site' };
    const one = await store.getRevision(service, 1, testCall());
    const { items } = await store.listRevisions(service, page, testCall());
    const settled = await store.listSettledServices(page, testCall());
    expect([one, items[1], settled.items[0]?.stable].map((each) => each?.environment)).toEqual(
      Array(3).fill({ PASSWORD: secret }),
    );
    const stored = await inner.getRevision(service, 1, testCall());
    expect(stored?.environment.PASSWORD).toMatch(sealed);
  });

  it('never seals to the same text twice', async () => {
    const store = createSealedStore(inner, { keys: [keyNamed('one')] });
    const ids = [await accept(store, { A: secret }), await accept(store, { A: secret })];
    const [first, second] = await Promise.all(ids.map((id) => argumentsIn(inner, id)));
    expect(first?.A).not.toBe(second?.A);
  });

  it('gives what lay there before it as it is', async () => {
    const id = await accept(inner, { TOKEN: secret });
    const store = createSealedStore(inner, { keys: [keyNamed('one')] });
    expect(await argumentsIn(store, id)).toEqual({ TOKEN: secret });
  });

  it('is not confused by a value that looks sealed', async () => {
    const store = createSealedStore(inner, { keys: [keyNamed('one')] });
    const first = await accept(store, { TOKEN: secret });
    const copied = (await argumentsIn(inner, first))?.TOKEN ?? '';
    const id = await accept(store, { TOKEN: copied });
    expect(await argumentsIn(store, id)).toEqual({ TOKEN: copied });
  });

  it('seals with its first key and opens with each of them', async () => {
    const [old, present] = [keyNamed('old'), keyNamed('present')];
    const before = await accept(createSealedStore(inner, { keys: [old] }), { TOKEN: secret });
    const store = createSealedStore(inner, { keys: [present, old] });
    const after = await accept(store, { TOKEN: secret });
    expect(await argumentsIn(store, before)).toEqual({ TOKEN: secret });
    expect((await argumentsIn(inner, after))?.TOKEN).toMatch(/^cygni\.sealed\.1\.present\./);
  });

  it('has every method of a store that is an instance of a class, too', async () => {
    class Counting {
      readonly name = 'counting';
      #pings = 0;
      async ping() {
        this.#pings += 1;
        return this.#pings;
      }
    }
    const store = createSealedStore(new Counting() as unknown as Store, { keys: [keyNamed('a')] });
    expect(store.name).toBe('counting');
    expect(await store.ping(testCall())).toBe(1);
  });

  it('refuses keys that are short, have the same id, or are none, and repeats none', () => {
    const short = { id: 'short', key: Buffer.from('hunter2') };
    const one = keyNamed('one');
    for (const keys of [[], [short], [one, { ...keyNamed('two'), id: 'one' }]]) {
      let refusal: unknown;
      try {
        createSealedStore(inner, { keys });
      } catch (error) {
        refusal = error;
      }
      expect(isCygniError(refusal, 'invalid_configuration')).toBe(true);
      expect(String(refusal)).not.toContain('hunter2');
    }
  });
});

describe('a value that cannot be opened', () => {
  const changes: Record<string, (text: string) => string> = {
    'was changed': (text) => text.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
    'was cut short': (text) => text.slice(0, -30),
    'names another key': (text) => text.replace('.one.', '.two.'),
  };

  /** `inner`, whose builds have this of `text` in the place of each argument. */
  function tamper(change: (text: string) => string): Store {
    return new Proxy(inner, {
      get(target, property) {
        if (property !== 'listBuilds') return Reflect.get(target, property);
        const listBuilds: Store['listBuilds'] = async (...all) => {
          const { items, nextCursor } = await target.listBuilds(...all);
          const changed = items.map((build) => ({
            ...build,
            buildArguments: {
              ...build.buildArguments,
              TOKEN: change(build.buildArguments.TOKEN ?? ''),
            },
          }));
          return { items: changed, nextCursor };
        };
        return listBuilds;
      },
    });
  }

  it.each(Object.entries(changes))(
    'because it %s spoils no more than itself',
    async (_, change) => {
      const keys = [keyNamed('one')];
      await accept(createSealedStore(inner, { keys }), { TOKEN: `${secret}!`, OTHER: 'fine' });
      const store = createSealedStore(tamper(change), { keys });
      const { items } = await store.listBuilds('acme', page, testCall());
      expect(items[0]?.buildArguments).toEqual({ TOKEN: '(cannot be opened)', OTHER: 'fine' });
    },
  );

  it.each([
    ['another tenant', 'other', 'TOKEN'],
    ['another variable', 'acme', 'OTHER'],
  ])('because it is that of %s is not given away', async (_, tenantId, name) => {
    const store = createSealedStore(inner, { keys: [keyNamed('one')] });
    const id = await accept(store, { TOKEN: secret });
    const moved = { [name]: (await argumentsIn(inner, id))?.TOKEN ?? '' };
    const thief = await accept(inner, moved, tenantId);
    expect(await argumentsIn(store, thief, tenantId)).toEqual({ [name]: '(cannot be opened)' });
  });
});
