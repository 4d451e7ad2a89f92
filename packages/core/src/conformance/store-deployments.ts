import type { Evidence } from '../model/deployment.ts';
import {
  call,
  digest,
  type Fixture,
  idempotencyKey,
  leaseSeconds,
  limit,
  succeeded,
} from './store-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

const key = { tenantId: 'acme', service: 'site' };
const toPrevious = { target: { rollbackTo: null } };
const failed = { ...succeeded, state: 'FAILED', url: null } as const;

export function testDeployments({ describe, it, expect }: TestFunctions, current: () => Fixture) {
  describe('acceptDeployment', () => {
    it('makes the service, a revision and a queued deployment', async () => {
      const { store, newDeployment, reservation, messages, account, eventTypes } = current();
      const deployment = newDeployment({ message: 'first' });
      const accepted = await store.acceptDeployment(deployment, reservation(), null, call);
      expect(accepted).toMatchObject({
        replayed: false,
        resource: {
          id: deployment.id,
          revision: 1,
          kind: 'deploy',
          state: 'QUEUED',
          phase: 'PENDING',
          message: 'first',
          estimate: 100,
        },
      });
      expect(await store.getDeployment('acme', deployment.id, call)).toEqual(accepted.resource);
      expect(await store.getDeployment('other', deployment.id, call)).toBe(null);
      expect(await store.getRevision(key, 1, call)).toMatchObject({
        ...deployment.target,
        number: 1,
        healthyAt: null,
      });
      expect(await store.getRevision(key, 2, call)).toBe(null);
      expect(await store.getService(key, call)).toMatchObject({
        name: 'site',
        stableRevision: null,
        previousRevision: null,
        url: null,
      });
      expect(await messages()).toEqual([{ v: 1, kind: 'deployment', id: deployment.id }]);
      expect(await account()).toMatchObject({ reserved: 100 });
      expect([...(await eventTypes())].sort()).toEqual(['deployment.accepted', 'service.created']);
    });

    it('leaves nothing behind when the budget does not cover it', async () => {
      const { store, newDeployment, reservation } = current();
      const poor = reservation({ amount: 100, cap: 99 });
      await expect(
        store.acceptDeployment(newDeployment(), poor, idempotencyKey(), call),
      ).rejects.toMatchObject({ code: 'budget_exceeded', budget: { limit: 99, estimate: 100 } });
      expect(await store.getService(key, call)).toBe(null);
      const again = await store.acceptDeployment(
        newDeployment(),
        reservation(),
        idempotencyKey(),
        call,
      );
      expect(again).toMatchObject({ replayed: false, resource: { revision: 1 } });
    });

    it('is idempotent under a key', async () => {
      const { store, newDeployment, reservation, account } = current();
      const results = await Promise.all(
        Array.from({ length: 5 }, () =>
          store.acceptDeployment(newDeployment(), reservation(), idempotencyKey(), call),
        ),
      );
      expect(new Set(results.map(({ resource }) => resource.id)).size).toBe(1);
      expect(await account()).toMatchObject({ reserved: 100 });
      const other = idempotencyKey({ fingerprint: 'another' });
      await expect(
        store.acceptDeployment(newDeployment(), reservation(), other, call),
      ).rejects.toMatchObject({ code: 'idempotency_mismatch' });
    });

    it('is not held up by a key that has run out, or is of another route', async () => {
      const { store, newBuild, newDeployment, reservation, elapse } = current();
      await store.acceptBuild(await newBuild(), reservation(), idempotencyKey(), call);
      const ofDeployments = idempotencyKey({ route: 'POST /v1/deployments' });
      const accept = async (fingerprint: string) => {
        const used = { ...ofDeployments, fingerprint };
        return await store.acceptDeployment(newDeployment(), reservation(), used, call);
      };
      expect((await accept('f')).replayed).toBe(false);
      expect((await accept('f')).replayed).toBe(true);
      await elapse(61);
      expect((await accept('another')).replayed).toBe(false);
      expect((await accept('another')).replayed).toBe(true);
    });

    it('counts what was spent', async () => {
      const { store, newDeployment, reservation, runningDeployment, account } = current();
      await store.finishDeployment(await runningDeployment(), { ...succeeded, charge: 10 }, call);
      expect(await account()).toMatchObject({ reserved: 0, spent: 10 });
      const accept = (cap: number) =>
        store.acceptDeployment(newDeployment(), reservation({ cap }), null, call);
      await expect(accept(109)).rejects.toMatchObject({ code: 'budget_exceeded' });
      expect((await accept(110)).replayed).toBe(false);
    });

    it('is idempotent by its id', async () => {
      const { store, newDeployment, reservation, account } = current();
      const deployment = newDeployment();
      await store.acceptDeployment(deployment, reservation(), null, call);
      const again = await store.acceptDeployment(deployment, reservation(), null, call);
      expect(again).toMatchObject({ replayed: true, resource: { id: deployment.id } });
      expect(await account()).toMatchObject({ reserved: 100 });
    });

    it('takes the place of those that are queued, and gives their money back', async () => {
      const { store, queuedDeployment, account, eventTypes } = current();
      const first = await queuedDeployment();
      const second = await queuedDeployment();
      expect(await store.getDeployment('acme', first, call)).toMatchObject({
        state: 'SUPERSEDED',
        supersededBy: second,
        phase: 'DONE',
        cost: 0,
      });
      expect(await store.claimDeployment(first, leaseSeconds, call)).toBe(null);
      expect(await account()).toMatchObject({ reserved: 10 });
      expect((await eventTypes()).includes('deployment.superseded')).toBe(true);
    });

    it('leaves one queued, and the revisions in a row, when many come at once', async () => {
      const { store, queuedDeployment, account } = current();
      const ids = await Promise.all(Array.from({ length: 10 }, () => queuedDeployment()));
      const all = await Promise.all(ids.map((id) => store.getDeployment('acme', id, call)));
      expect(all.filter((each) => each?.state === 'QUEUED')).toHaveLength(1);
      expect(all.map((each) => each?.revision ?? 0).sort((left, right) => left - right)).toEqual([
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
      ]);
      expect(await account()).toMatchObject({ reserved: 10 });
    });

    it('pays with what it supersedes', async () => {
      const { store, newDeployment, reservation } = current();
      const limited = reservation({ amount: 100, cap: 100 });
      await store.acceptDeployment(newDeployment(), limited, null, call);
      await store.acceptDeployment(newDeployment(), limited, null, call);
      const elsewhere = newDeployment({ service: 'another' });
      await expect(store.acceptDeployment(elsewhere, limited, null, call)).rejects.toMatchObject({
        code: 'budget_exceeded',
      });
    });
  });

  describe('a rollback', () => {
    it('is announced with high priority', async () => {
      const { store, deployed, newDeployment, messages, reservation } = current();
      await deployed();
      await deployed();
      await messages();
      const rollback = newDeployment(toPrevious);
      await store.acceptDeployment(rollback, reservation(), null, call);
      expect(await messages()).toEqual([
        { v: 1, kind: 'deployment', id: rollback.id, priority: 'high' },
      ]);
    });

    it('needs a service and a revision', async () => {
      const { store, newDeployment, reservation, queuedDeployment } = current();
      const accept = (rollbackTo: number | null) =>
        store.acceptDeployment(
          newDeployment({ target: { rollbackTo } }),
          reservation(),
          null,
          call,
        );
      await expect(accept(null)).rejects.toMatchObject({ code: 'not_found' });
      await queuedDeployment();
      await expect(accept(null)).rejects.toMatchObject({ code: 'conflict' });
      await expect(accept(7)).rejects.toMatchObject({ code: 'not_found' });
    });

    it('opens no account, so that the first to do so does it under the budget of then', async () => {
      const { store, newDeployment, deployed, reservation } = current();
      await deployed();
      const of = (month: number) => ({
        ...limit,
        periodStart: new Date(Date.UTC(2027, month)).toISOString(),
        periodEnd: new Date(Date.UTC(2027, month + 1)).toISOString(),
      });
      const rollback = newDeployment({ target: { rollbackTo: 1 } });
      await store.acceptDeployment(rollback, { ...reservation(), limit: of(1) }, null, call);
      await store.setBudget('acme', 'USD', of(2), { cap: 5 }, call);
      expect(await store.getAccount('acme', 'USD', of(1), call)).toMatchObject({ limit: 5 });
    });

    it('goes to the previous revision, or the one that is named, for nothing', async () => {
      const { store, newDeployment, deployed, runningDeployment } = current();
      await deployed();
      await deployed();
      await deployed();
      const reservation = current().reservation({ amount: 100, cap: 15 });
      const accept = (rollbackTo: number | null) =>
        store.acceptDeployment(newDeployment({ target: { rollbackTo } }), reservation, null, call);
      expect((await accept(null)).resource).toMatchObject({
        revision: 2,
        kind: 'rollback',
        estimate: 0,
      });
      expect((await accept(1)).resource).toMatchObject({ revision: 1, kind: 'rollback' });
      expect(await store.getRevision(key, 4, call)).toBe(null);

      const fence = await runningDeployment(toPrevious);
      await store.finishDeployment(fence, { ...succeeded, charge: 5 }, call);
      expect(await store.getDeployment('acme', fence.id, call)).toMatchObject({ cost: 0 });
      expect(await store.getService(key, call)).toMatchObject({
        stableRevision: 2,
        previousRevision: 1,
      });
    });

    it('is accepted only while the service is as expected, where that is told', async () => {
      const { store, newDeployment, deployed, reservation } = current();
      await deployed();
      await deployed();
      const seen = await store.getService(key, call);
      if (!seen) throw new Error('no service');
      const accept = () => {
        const rollback = newDeployment({ target: { rollbackTo: 1, expected: seen } });
        return store.acceptDeployment(rollback, reservation(), null, call);
      };
      await accept();
      await deployed();
      await expect(accept()).rejects.toMatchObject({ code: 'precondition_failed' });
    });

    it('remembers the stable revision as the previous one when a new one follows it', async () => {
      const { store, deployed } = current();
      await deployed();
      await deployed();
      await deployed({ target: { rollbackTo: 1 } });
      expect(await store.getService(key, call)).toMatchObject({ previousRevision: null });
      await deployed();
      expect(await store.getService(key, call)).toMatchObject({
        stableRevision: 3,
        previousRevision: 1,
      });
    });
  });

  describe('a claim on a deployment', () => {
    it('has all that a rollout needs', async () => {
      const { store, deployed, queuedDeployment } = current();
      await deployed();
      const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
      const id = await queuedDeployment({ traceparent });
      const claim = await store.claimDeployment(id, leaseSeconds, call);
      expect(claim).toMatchObject({
        traceparent,
        deployment: { id, state: 'RUNNING', attempt: 1, revision: 2 },
        revision: { number: 2, digest },
        service: { name: 'site', stableRevision: 1 },
        stable: { number: 1 },
      });
    });

    it('is had by one of many, and has no stable revision at first', async () => {
      const { store, queuedDeployment } = current();
      const id = await queuedDeployment();
      const claims = await Promise.all(
        Array.from({ length: 10 }, () => store.claimDeployment(id, leaseSeconds, call)),
      );
      const [claim, ...others] = claims.filter((each) => each !== null);
      expect(claim).toMatchObject({ traceparent: null });
      expect(others).toEqual([]);
      expect(claim?.stable).toBe(null);
    });

    it('waits for the deployment that runs', async () => {
      const { store, runningDeployment, queuedDeployment, messages, elapse } = current();
      const first = await runningDeployment();
      const second = await queuedDeployment();
      await messages();
      expect(await store.claimDeployment(second, leaseSeconds, call)).toBe(null);
      await elapse(leaseSeconds + 1);
      // Even one whose worker is gone is taken up first: it may have moved the traffic.
      expect(await store.claimDeployment(second, leaseSeconds, call)).toBe(null);
      const again = await store.claimDeployment(first.id, leaseSeconds, call);
      expect(again?.deployment.attempt).toBe(2);
      const fence = { id: first.id, attempt: 2 };
      expect(await store.finishDeployment(first, succeeded, call)).toBe(false);
      expect(await store.finishDeployment(fence, succeeded, call)).toBe(true);
      expect(await messages()).toEqual([{ v: 1, kind: 'deployment', id: second }]);
      expect(await store.claimDeployment(second, leaseSeconds, call)).toMatchObject({
        stable: { number: 1 },
      });
    });

    it('may be given back as often as its attempts are not counted', async () => {
      const { store, queuedDeployment } = current();
      const releases = async (countAttempt: boolean) => {
        const id = await queuedDeployment({ service: `counted-${countAttempt}` });
        let attempt = 0;
        while (attempt < 20 && (await store.claimDeployment(id, leaseSeconds, call))) {
          attempt += 1;
          await store.releaseDeployment({ id, attempt }, { countAttempt }, call);
        }
        return attempt;
      };
      expect(await releases(false)).toBe(20);
      expect((await releases(true)) < 20).toBe(true);
    });

    it('leaves other services alone', async () => {
      const { runningDeployment } = current();
      const fences = [await runningDeployment(), await runningDeployment({ service: 'another' })];
      expect(fences.map(({ attempt }) => attempt)).toEqual([1, 1]);
    });

    it('can be kept, advanced and given back; a stale one cannot', async () => {
      const { store, runningDeployment, messages } = current();
      const fence = await runningDeployment();
      expect(await store.heartbeatDeployment(fence, leaseSeconds, call)).toEqual({
        cancelRequested: false,
      });
      expect(await store.advanceDeployment(fence, 'WATCHING', call)).toBe(true);
      expect(await store.getDeployment('acme', fence.id, call)).toMatchObject({
        phase: 'WATCHING',
      });
      await messages();
      expect(await store.releaseDeployment(fence, { countAttempt: false }, call)).toBe(true);
      expect(await messages()).toEqual([{ v: 1, kind: 'deployment', id: fence.id }]);

      expect(await store.heartbeatDeployment(fence, leaseSeconds, call)).toBe(null);
      expect(await store.advanceDeployment(fence, 'BAKING', call)).toBe(false);
      expect(await store.releaseDeployment(fence, { countAttempt: true }, call)).toBe(false);
      expect(await store.finishDeployment(fence, succeeded, call)).toBe(false);
      expect(await store.claimDeployment(fence.id, leaseSeconds, call)).toMatchObject({
        deployment: { attempt: 2 },
      });
    });
  });

  describe('finishDeployment', () => {
    const evidence: Evidence = {
      rule: 'health_check_failed',
      message: 'health check failed: status 500\0',
      requestedDigest: digest,
      observedDigest: digest,
      instances: [{ id: 'i1', state: 'running', reason: null }],
      probes: [{ time: 't', ok: false, status: 500, durationMs: 1.5, error: 'status 500' }],
      logLines: ['boom'],
      rolledBackTo: 1,
      cost: 5,
      collectedAt: '2026-01-01T00:00:00.000Z',
    };

    it('makes a success the stable revision', async () => {
      const { store, deployed, account, eventTypes } = current();
      await deployed();
      await deployed();
      expect(await store.getService(key, call)).toMatchObject({
        stableRevision: 2,
        previousRevision: 1,
        url: 'http://site.test',
      });
      expect(typeof (await store.getRevision(key, 2, call))?.healthyAt).toBe('string');
      expect(await account()).toMatchObject({ reserved: 0, spent: 10 });
      expect((await eventTypes()).includes('deployment.finished')).toBe(true);
    });

    it('ends a deployment once, and says so again to who ended it in this way', async () => {
      const { store, runningDeployment, account, eventTypes } = current();
      const fence = await runningDeployment();
      const end = { ...succeeded, charge: 5 };
      expect(await store.finishDeployment(fence, end, call)).toBe(true);
      expect(await store.finishDeployment(fence, end, call)).toBe(true);
      const { state } = failed;
      expect(await store.finishDeployment(fence, { ...end, state }, call)).toBe(false);
      expect(await store.finishDeployment(fence, { ...end, evidence }, call)).toBe(false);
      expect(await store.finishDeployment({ ...fence, attempt: 2 }, end, call)).toBe(false);
      expect(await account()).toMatchObject({ reserved: 0, spent: 5 });
      expect((await eventTypes()).filter((type) => type === 'deployment.finished')).toHaveLength(1);
    });

    it('keeps the evidence of a rollback, and the stable revision', async () => {
      const { store, deployed, runningDeployment, eventTypes } = current();
      await deployed();
      const fence = await runningDeployment();
      const end = { ...failed, state: 'ROLLED_BACK', evidence } as const;
      expect(await store.finishDeployment(fence, end, call)).toBe(true);
      expect(await store.getDeployment('acme', fence.id, call)).toMatchObject({
        state: 'ROLLED_BACK',
        phase: 'DONE',
        evidence,
        cost: 5,
      });
      expect(await store.getService(key, call)).toMatchObject({ stableRevision: 1 });
      expect(await store.getRevision(key, 2, call)).toMatchObject({ healthyAt: null });
      expect((await eventTypes()).includes('deployment.rolled_back')).toBe(true);
    });

    it('leaves the previous revision as it was when the same one succeeds again', async () => {
      const { store, deployed } = current();
      await deployed();
      await deployed();
      await deployed({ target: { rollbackTo: 2 } });
      expect(await store.getService(key, call)).toMatchObject({
        stableRevision: 2,
        previousRevision: 1,
      });
      await deployed({ target: { rollbackTo: 1 } });
      await deployed();
      for (const _ of ['once', 'and again']) {
        await deployed({ target: { rollbackTo: 3 } });
        expect(await store.getService(key, call)).toMatchObject({
          stableRevision: 3,
          previousRevision: 1,
        });
      }
    });

    it('keeps the address that is known where none is told', async () => {
      const { store, runningDeployment } = current();
      await store.finishDeployment(await runningDeployment(), succeeded, call);
      for (const end of [succeeded, failed]) {
        await store.finishDeployment(await runningDeployment(), { ...end, url: null }, call);
        expect(await store.getService(key, call)).toMatchObject({ url: 'http://site.test' });
      }
    });

    it('tells of what has changed in the service, and of nothing else', async () => {
      const { store, deployed, runningDeployment, eventTypes } = current();
      const told = async () => {
        const types = await eventTypes();
        return ['service.stable_changed', 'service.url_changed'].map(
          (changed) => types.filter((type) => type === changed).length,
        );
      };
      await deployed();
      expect(await told()).toEqual([1, 1]);
      await deployed({ target: { rollbackTo: 1 } });
      expect(await told()).toEqual([1, 1]);
      const url = 'http://site.test';
      await store.finishDeployment(await runningDeployment(), { ...failed, url }, call);
      expect(await told()).toEqual([1, 1]);
      const moved = { ...failed, url: 'http://moved.test' };
      await store.finishDeployment(await runningDeployment(), moved, call);
      expect(await told()).toEqual([1, 2]);
    });
  });

  describe('a settled service', () => {
    it('is one with a stable revision and no running deployment', async () => {
      const { store, deployed, runningDeployment, queuedDeployment } = current();
      const settled = async () => {
        const page = await store.listSettledServices({ limit: 10, cursor: null }, call);
        return page.items.map(({ service, stable }) => [service.name, stable.number]);
      };
      await queuedDeployment({ service: 'never' });
      await deployed();
      expect(await settled()).toEqual([['site', 1]]);
      const fence = await runningDeployment();
      expect(await settled()).toEqual([]);
      await store.finishDeployment(fence, failed, call);
      expect(await settled()).toEqual([['site', 1]]);
    });

    it('can be given another address', async () => {
      const { store, deployed } = current();
      await deployed();
      await store.setServiceUrl(key, 'http://moved.test', call);
      expect(await store.getService(key, call)).toMatchObject({ url: 'http://moved.test' });
    });
  });
}
