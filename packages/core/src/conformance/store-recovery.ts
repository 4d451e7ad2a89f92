import type { Message } from '../contracts/queue.ts';
import { call, type Fixture, idempotencyKey, leaseSeconds } from './store-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

const sweep = { queuedSeconds: 60, limit: 100 };

/** Those of higher numbers come later, in whatever order a store looks at them. */
const idOf = (digit: number) => `${String(digit).repeat(8)}-0000-4000-8000-000000000000`;

export function testRecovery({ describe, it, expect }: TestFunctions, current: () => Fixture) {
  describe('the outbox', () => {
    it('keeps what could not be delivered', async () => {
      const { store, dispatchedBuild, messages } = current();
      const id = await dispatchedBuild();
      const refusal = new Error('the queue is down');
      const failing = store.takeOutbox(10, () => Promise.reject(refusal), call);
      expect(await failing.catch((error: unknown) => error)).toBe(refusal);
      expect(await messages()).toEqual([{ v: 1, kind: 'build', id }]);
      expect(await messages()).toEqual([]);
    });

    it('hands out no more than asked for, oldest first', async () => {
      const { store, dispatchedBuild, queuedDeployment } = current();
      const ids = [await dispatchedBuild(), await queuedDeployment(), await dispatchedBuild()];
      const seen: string[] = [];
      const deliver = async (messages: readonly Message[]) => {
        seen.push(...messages.map(({ id }) => id));
      };
      expect(await store.takeOutbox(2, deliver, call)).toBe(2);
      expect(await store.takeOutbox(2, deliver, call)).toBe(1);
      expect(await store.takeOutbox(2, deliver, call)).toBe(0);
      expect(seen).toEqual(ids);
    });

    it('hands different messages to relays that run at the same time', async () => {
      const { store, dispatchedBuild } = current();
      const first = await dispatchedBuild();
      const second = await dispatchedBuild();
      const seen: string[] = [];
      const taken = await store.takeOutbox(
        1,
        async (outer) => {
          await store.takeOutbox(
            5,
            async (inner) => {
              seen.push(...inner.map(({ id }) => id));
            },
            call,
          );
          seen.push(...outer.map(({ id }) => id));
        },
        call,
      );
      expect(taken).toBe(1);
      expect(seen).toEqual([second, first]);
    });

    it('takes new work while it is being emptied', async () => {
      const { store, runningBuild, messages, dispatchAll } = current();
      const fence = await runningBuild();
      await store.takeOutbox(
        10,
        async () => {
          await store.releaseBuild(fence, { countAttempt: false }, call);
          await dispatchAll();
        },
        call,
      );
      expect(await messages()).toEqual([{ v: 1, kind: 'build', id: fence.id }]);
    });
  });

  describe('the sweep', () => {
    it('sends a message that nobody heeded again, and again', async () => {
      const { store, queuedBuild, queuedDeployment, messages, elapse } = current();
      const ids = [await queuedBuild(), await queuedDeployment()].sort();
      const idsOf = (all: readonly Message[]) => all.map(({ id }) => id).sort();
      await messages();
      expect(await store.sweep(sweep, call)).toEqual({ requeued: 0, deadLettered: 0, expired: 0 });
      for (const _ of ['once', 'and again']) {
        await elapse(61);
        expect(await store.sweep(sweep, call)).toMatchObject({ requeued: 2 });
        expect(await store.sweep(sweep, call)).toMatchObject({ requeued: 0 });
        expect(idsOf(await messages())).toEqual(ids);
      }
    });

    it('does not pile up messages that nobody fetches', async () => {
      const { store, dispatchedBuild, messages, elapse } = current();
      await dispatchedBuild();
      for (let round = 0; round < 3; round += 1) {
        await elapse(61);
        expect(await store.sweep(sweep, call)).toMatchObject({ requeued: 0 });
      }
      expect(await messages()).toHaveLength(1);
    });

    it('brings back what was running when its worker died', async () => {
      const { store, runningBuild, runningDeployment, messages, elapse } = current();
      const fences = [await runningBuild(), await runningDeployment()];
      await messages();
      expect(await store.sweep(sweep, call)).toMatchObject({ requeued: 0 });
      await elapse(leaseSeconds + 1);
      expect(await store.sweep(sweep, call)).toMatchObject({ requeued: 2, deadLettered: 0 });
      expect(await store.sweep(sweep, call)).toMatchObject({ requeued: 0 });
      expect((await messages()).map(({ id }) => id).sort()).toEqual(
        fences.map(({ id }) => id).sort(),
      );
      const claim = await store.claimBuild(fences[0]?.id ?? '', leaseSeconds, call);
      expect(claim?.build.attempt).toBe(2);
    });

    it('brings what was running back again when that message was lost, and does not pile messages up', async () => {
      const { store, runningBuild, runningDeployment, messages, elapse } = current();
      await runningBuild();
      await runningDeployment();
      await messages();
      await elapse(leaseSeconds + 1);
      expect(await store.sweep(sweep, call)).toMatchObject({ requeued: 2 });
      await elapse(61);
      expect(await store.sweep(sweep, call)).toMatchObject({ requeued: 0 });
      expect(await messages()).toHaveLength(2);
      await elapse(61);
      expect(await store.sweep(sweep, call)).toMatchObject({ requeued: 2 });
    });

    it('leaves alone what waits to be dispatched', async () => {
      const { store, queuedBuild, elapse } = current();
      await queuedBuild();
      await elapse(61);
      expect(await store.sweep(sweep, call)).toMatchObject({ requeued: 0 });
    });

    it('sends nothing of what is never tried again, also where it is not that far yet', async () => {
      const { store, runningBuild, queuedDeployment, messages, elapse } = current();
      for (const _ of ['one', 'another']) await runningBuild({ maximumAttempts: 1 });
      for (const service of ['site', 'api', 'blog', 'shop']) {
        const id = await queuedDeployment({ service });
        for (let claimed = true; claimed; ) {
          const claim = await store.claimDeployment(id, leaseSeconds, call);
          claimed = claim !== null;
          const fence = { id, attempt: claim?.deployment.attempt ?? 0 };
          // Two are given back after their last attempt; the worker of two others dies in it.
          const gone = service === 'site' || service === 'api';
          if (claimed && gone) await elapse(leaseSeconds + 1);
          else if (claimed) await store.releaseDeployment(fence, { countAttempt: true }, call);
        }
      }
      await messages();
      await elapse(61);
      const swept = await store.sweep({ ...sweep, limit: 1 }, call);
      expect(swept).toMatchObject({ requeued: 0, deadLettered: 2 });
    });

    it('ends a build whose attempts are used up, and gives the money back', async () => {
      const { store, runningBuild, messages, elapse, account, eventTypes } = current();
      const fence = await runningBuild({ maximumAttempts: 1 });
      const other = await runningBuild();
      await elapse(leaseSeconds + 1);
      await messages();
      expect(await store.sweep(sweep, call)).toMatchObject({ requeued: 1, deadLettered: 1 });
      expect(await messages()).toEqual([{ v: 1, kind: 'build', id: other.id }]);
      expect(await store.getBuild('acme', fence.id, call)).toMatchObject({
        state: 'FAILED',
        failure: { reason: 'platform_error', platformFault: true },
        cost: 0,
      });
      expect(await account()).toMatchObject({ reserved: 100, spent: 0 });
      expect((await eventTypes()).includes('build.finished')).toBe(true);
      expect(await store.sweep(sweep, call)).toMatchObject({ deadLettered: 0 });
    });

    it('ends a build that was given back after its last attempt', async () => {
      const { store, runningBuild } = current();
      const fence = await runningBuild({ maximumAttempts: 1 });
      await store.releaseBuild(fence, { countAttempt: true }, call);
      expect(await store.sweep(sweep, call)).toMatchObject({ deadLettered: 1 });
      expect(await store.getBuild('acme', fence.id, call)).toMatchObject({ state: 'FAILED' });
    });

    it('ends a build that was to be cancelled when its worker died', async () => {
      const { store, runningBuild, elapse, account } = current();
      const fence = await runningBuild();
      await store.cancelBuild('acme', fence.id, call);
      expect(await store.sweep(sweep, call)).toMatchObject({ deadLettered: 0 });
      await elapse(leaseSeconds + 1);
      expect(await store.sweep(sweep, call)).toMatchObject({ requeued: 0, deadLettered: 0 });
      expect(await store.getBuild('acme', fence.id, call)).toMatchObject({
        state: 'CANCELLED',
        failure: null,
        cost: 0,
      });
      expect(await account()).toMatchObject({ reserved: 0, spent: 0 });
    });

    it('ends a deployment whose attempts are used up, and lets the next one run', async () => {
      const { store, queuedDeployment, messages, elapse } = current();
      const first = await queuedDeployment();
      let attempts = 0;
      while (await store.claimDeployment(first, leaseSeconds, call)) {
        attempts += 1;
        await elapse(leaseSeconds + 1);
      }
      expect(attempts > 0).toBe(true);
      const second = await queuedDeployment();
      await messages();
      expect(await store.sweep(sweep, call)).toMatchObject({ deadLettered: 1 });
      expect(await store.getDeployment('acme', first, call)).toMatchObject({
        state: 'FAILED',
        cost: 0,
      });
      expect(await messages()).toEqual([{ v: 1, kind: 'deployment', id: second }]);
      expect((await store.claimDeployment(second, leaseSeconds, call)) !== null).toBe(true);
    });

    it('ends no more builds than asked for, and looks for them beyond those that are not over', async () => {
      const { store, runningBuild, dispatchedBuild } = current();
      for (const digit of [1, 2, 3]) {
        await runningBuild({ id: idOf(digit), maximumAttempts: 1 });
        await dispatchedBuild({ id: idOf(digit + 3) });
      }
      for (const id of [idOf(8), idOf(9)]) {
        const fence = await runningBuild({ id, maximumAttempts: 1 });
        await store.releaseBuild(fence, { countAttempt: true }, call);
      }
      const nothing = { requeued: 0, deadLettered: 0, expired: 0 };
      const one = { ...sweep, limit: 1 };
      expect(await store.sweep(one, call)).toEqual({ ...nothing, deadLettered: 1 });
      expect(await store.sweep(one, call)).toEqual({ ...nothing, deadLettered: 1 });
      expect(await store.sweep(one, call)).toEqual(nothing);
    });

    it('ends no more deployments than asked for, and looks for them beyond those that are not over', async () => {
      const { store, queuedDeployment } = current();
      async function giveBack(id: string, times: number): Promise<number> {
        for (let attempts = 0; attempts < times; attempts += 1) {
          const claim = await store.claimDeployment(id, leaseSeconds, call);
          if (!claim) return attempts;
          const fence = { id, attempt: claim.deployment.attempt };
          await store.releaseDeployment(fence, { countAttempt: true }, call);
        }
        return times;
      }
      const queued = (digit: number) =>
        queuedDeployment({ id: idOf(digit), service: `service-${digit}` });
      const maximumAttempts = await giveBack(await queued(0), 1_000);
      expect(await store.sweep(sweep, call)).toMatchObject({ deadLettered: 1 });
      for (const digit of [1, 2, 3]) {
        const id = await queued(digit);
        await giveBack(id, maximumAttempts - 1);
        await store.claimDeployment(id, leaseSeconds, call);
        await queued(digit + 3);
      }
      for (const digit of [8, 9]) await giveBack(await queued(digit), maximumAttempts);
      const nothing = { requeued: 0, deadLettered: 0, expired: 0 };
      const one = { ...sweep, limit: 1 };
      expect(await store.sweep(one, call)).toEqual({ ...nothing, deadLettered: 1 });
      expect(await store.sweep(one, call)).toEqual({ ...nothing, deadLettered: 1 });
      expect(await store.sweep(one, call)).toEqual(nothing);
    });

    it('forgets idempotency records that have run out', async () => {
      const { store, newBuild, reservation, elapse } = current();
      await store.acceptBuild(await newBuild(), reservation(), idempotencyKey(), call);
      expect(await store.sweep(sweep, call)).toMatchObject({ expired: 0 });
      await elapse(61);
      expect(await store.sweep(sweep, call)).toMatchObject({ expired: 1 });
    });
  });
}
