import type { Fence, Reservation } from '../contracts/store.ts';
import { call, type Fixture, finished, limit, succeeded } from './store-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

const nextPeriod = {
  ...limit,
  periodStart: '2026-02-01T00:00:00.000Z',
  periodEnd: '2026-03-01T00:00:00.000Z',
};

export function testBudgets({ describe, it, expect }: TestFunctions, current: () => Fixture) {
  describe('an account', () => {
    it('is made on first use, once', async () => {
      const { store } = current();
      const accounts = await Promise.all(
        Array.from({ length: 5 }, () =>
          store.getAccount('acme', 'USD', { ...limit, cap: 500 }, call),
        ),
      );
      for (const account of accounts) {
        expect(account).toEqual({
          tenantId: 'acme',
          currency: 'USD',
          limit: 500,
          spent: 0,
          reserved: 0,
          periodStart: limit.periodStart,
          periodEnd: limit.periodEnd,
        });
      }
    });

    it('follows the policy within a period', async () => {
      const { store, newBuild, reservation } = current();
      const accept = async (cap: number | null) =>
        store.acceptBuild(await newBuild(), reservation({ cap }), null, call);
      await accept(100);
      await expect(accept(100)).rejects.toMatchObject({ code: 'budget_exceeded' });
      await accept(200);
      await expect(accept(150)).rejects.toMatchObject({
        code: 'budget_exceeded',
        budget: { limit: 150, reserved: 200 },
      });
      await accept(null);
    });

    it('is settled in the period that it was reserved in', async () => {
      const { store, runningBuild } = current();
      const fence = await runningBuild();
      const later = () => store.getAccount('acme', 'USD', nextPeriod, call);
      expect(await later()).toMatchObject({ reserved: 0, spent: 0 });
      await store.finishBuild(fence, finished, call);
      expect(await later()).toMatchObject({ reserved: 0, spent: 0 });
      expect(await current().account()).toMatchObject({ reserved: 0, spent: 40 });
    });
  });

  describe('a threshold of the budget', () => {
    const alertAt = [50, 75, 90, 100];

    async function running(reservation: Reservation): Promise<Fence> {
      const { store, newBuild, dispatchAll } = current();
      const build = await newBuild();
      await store.acceptBuild(build, reservation, null, call);
      await dispatchAll();
      const claim = await store.claimBuild(build.id, 30, call);
      return { id: build.id, attempt: claim?.build.attempt ?? 0 };
    }

    async function end(fence: Fence, charge: number): Promise<void> {
      await current().store.finishBuild(fence, { ...finished, charge, alertAt }, call);
    }

    /** A build that costs what was reserved for it. */
    async function spend(amount: number, cap: number | null = null): Promise<void> {
      await end(await running(current().reservation({ amount, cap })), amount);
    }

    async function alerts(tenantId = 'acme') {
      const { items } = await current().store.listEvents(
        tenantId,
        { limit: 100, cursor: null },
        call,
      );
      return items
        .filter(({ type }) => type === 'budget.threshold')
        .map(({ subject, data }) => ({ subject, ...data }) as Record<string, unknown>);
    }
    const percents = async () =>
      (await alerts()).map(({ percent }) => Number(percent)).sort((left, right) => left - right);
    const setCap = (cap: number | null) =>
      current().store.setBudget('acme', 'USD', limit, { cap }, call);

    it('is told of once, with the figures, when what is spent reaches it', async () => {
      await setCap(200);
      const open = await running(current().reservation({ amount: 30 }));
      await spend(99);
      expect(await alerts()).toEqual([]);
      await spend(1);
      expect(await alerts()).toEqual([
        {
          subject: 'acme',
          percent: 50,
          limit: 200,
          spent: 100,
          reserved: 30,
          currency: 'USD',
          periodStart: limit.periodStart,
        },
      ]);
      await end(open, 0);
      expect(await percents()).toEqual([50]);
    });

    it('is told of with those that are passed in the same step', async () => {
      await setCap(100);
      await spend(95);
      expect(await percents()).toEqual([50, 75, 90]);
      await spend(5);
      expect(await percents()).toEqual([50, 75, 90, 100]);
    });

    it('is told of by one of many that end at once', async () => {
      const { runningBuild } = current();
      await setCap(1_000);
      const fences = await Promise.all(Array.from({ length: 10 }, () => runningBuild()));
      await Promise.all(fences.map((fence) => end(fence, 90)));
      expect(await percents()).toEqual([50, 75, 90]);
    });

    it('is reached by deployments too', async () => {
      const { store, runningDeployment } = current();
      await setCap(10);
      await store.finishDeployment(await runningDeployment(), { ...succeeded, alertAt }, call);
      expect(await percents()).toEqual([50]);
    });

    it('is armed again when the cap is raised above it', async () => {
      await setCap(100);
      await spend(95);
      expect(await percents()).toEqual([50, 75, 90]);
      await setCap(200);
      await spend(4);
      expect(await percents()).toEqual([50, 75, 90]);
      await spend(51);
      expect(await percents()).toEqual([50, 50, 75, 75, 90]);
      await setCap(250);
      await spend(1);
      expect(await percents()).toEqual([50, 50, 75, 75, 90]);
      await spend(50);
      expect(await percents()).toEqual([50, 50, 75, 75, 75, 90]);
    });

    it('that a lowered cap brings near is told of with the next settlement', async () => {
      await setCap(1_000);
      const open = await running(current().reservation({ amount: 10 }));
      await spend(60);
      await setCap(100);
      await end(open, 0);
      expect(await percents()).toEqual([50]);
    });

    it('is there for a cap of the policy, and for none without a cap', async () => {
      await spend(100);
      expect(await percents()).toEqual([]);
      await spend(10, 220);
      expect(await percents()).toEqual([50]);
    });

    it('is a part of the cap that was reserved under, whatever cap the account was looked at with', async () => {
      const { store, reservation } = current();
      const open = await running(reservation({ amount: 100, cap: 200 }));
      await store.getAccount('acme', 'USD', { ...limit, cap: null }, call);
      const refused = running(reservation({ amount: 100, cap: 150 }));
      await expect(refused).rejects.toMatchObject({ code: 'budget_exceeded' });
      await end(open, 100);
      expect(await percents()).toEqual([50]);
    });

    it('is fresh in the next period; a hold that was open over its start counts where it was reserved', async () => {
      await setCap(100);
      const open = await running(current().reservation());
      await end(await running({ amount: 100, currency: 'USD', limit: nextPeriod }), 60);
      await end(open, 80);
      const told = (await alerts()).map(({ percent, spent, periodStart }) => ({
        percent,
        spent,
        periodStart,
      }));
      expect(told).toHaveLength(3);
      for (const expected of [
        { percent: 50, spent: 60, periodStart: nextPeriod.periodStart },
        { percent: 50, spent: 80, periodStart: limit.periodStart },
        { percent: 75, spent: 80, periodStart: limit.periodStart },
      ]) {
        expect(told.some((each) => JSON.stringify(each) === JSON.stringify(expected))).toBe(true);
      }
    });

    it('is not touched by what a fault of the platform ended', async () => {
      const { store, runningBuild, account } = current();
      await setCap(100);
      const failure = { reason: 'evicted', message: 'gone', platformFault: true } as const;
      const end = { state: 'FAILED', image: null, failure, charge: 0, alertAt } as const;
      await store.finishBuild(await runningBuild(), end, call);
      expect(await account()).toMatchObject({ spent: 0, reserved: 0 });
      expect(await alerts()).toEqual([]);
    });
  });

  describe('setBudget', () => {
    it('takes the place of the policy, in later periods too', async () => {
      const { store, newBuild, reservation, eventTypes } = current();
      await store.setBudget('acme', 'USD', limit, { cap: 120 }, call);
      await store.setBudget('acme', 'USD', limit, { cap: 150 }, call);
      expect((await eventTypes()).includes('budget.changed')).toBe(true);
      await store.acceptBuild(await newBuild(), reservation({ cap: 1_000 }), null, call);
      await expect(
        store.acceptBuild(await newBuild(), reservation({ cap: 1_000 }), null, call),
      ).rejects.toMatchObject({ code: 'budget_exceeded', budget: { limit: 150 } });
      const later = await store.getAccount('acme', 'USD', { ...nextPeriod, cap: 1_000 }, call);
      expect(later).toMatchObject({ limit: 150 });
      expect(await store.getAccount('other', 'USD', { ...limit, cap: 7 }, call)).toMatchObject({
        limit: 7,
      });
    });

    it('can take the cap away, or refuse everything', async () => {
      const { store, newBuild, reservation } = current();
      const accept = async () =>
        store.acceptBuild(await newBuild(), reservation({ cap: 10 }), null, call);
      await expect(accept()).rejects.toMatchObject({ code: 'budget_exceeded' });
      expect(await store.setBudget('acme', 'USD', limit, { cap: null }, call)).toMatchObject({
        limit: null,
      });
      await accept();
      await store.setBudget('acme', 'USD', limit, { cap: 0 }, call);
      await expect(accept()).rejects.toMatchObject({ code: 'budget_exceeded' });
    });

    it('may go below what is in use: then nothing more is accepted, and what runs is paid', async () => {
      const { store, newBuild, reservation, runningBuild, account } = current();
      const fences = [await runningBuild(), await runningBuild()];
      expect(await store.setBudget('acme', 'USD', limit, { cap: 50 }, call)).toMatchObject({
        limit: 50,
        reserved: 200,
      });
      const accept = async (amount: number) =>
        store.acceptBuild(await newBuild(), reservation({ amount }), null, call);
      await expect(accept(1)).rejects.toMatchObject({ code: 'budget_exceeded' });
      for (const fence of fences)
        await store.finishBuild(fence, { ...finished, charge: 100 }, call);
      expect(await account()).toMatchObject({ limit: 50, reserved: 0, spent: 200 });
      await expect(accept(0)).rejects.toMatchObject({ code: 'budget_exceeded' });
      await store.setBudget('acme', 'USD', limit, { cap: 300 }, call);
      await accept(100);
      await expect(accept(1)).rejects.toMatchObject({ code: 'budget_exceeded' });
    });

    it('changes nothing where the account is not as expected, whoever comes first', async () => {
      const { store, account, newBuild, reservation } = current();
      const seen = await account();
      const outcomes = await Promise.allSettled(
        [1_000, 2_000, 3_000].map((cap) =>
          store.setBudget('acme', 'USD', limit, { cap, expected: seen }, call),
        ),
      );
      const refused = outcomes.filter(({ status }) => status === 'rejected');
      expect(refused.length).toBe(2);
      for (const each of refused) {
        expect(each).toMatchObject({ reason: { code: 'precondition_failed' } });
      }
      const set = await account();
      await store.acceptBuild(await newBuild(), reservation(), null, call);
      await expect(
        store.setBudget('acme', 'USD', limit, { cap: 5, expected: set }, call),
      ).rejects.toMatchObject({ code: 'precondition_failed' });
      expect(await account()).toMatchObject({ limit: set.limit });
    });

    it('compares the account with what was seen of it under the same policy', async () => {
      const { store } = current();
      await store.getAccount('acme', 'USD', { ...limit, cap: 200 }, call);
      const today = { ...limit, cap: 777 };
      const expected = await store.getAccount('acme', 'USD', today, call);
      expect(expected).toMatchObject({ limit: 777 });
      expect(await store.setBudget('acme', 'USD', today, { cap: 5, expected }, call)).toMatchObject(
        { limit: 5 },
      );
    });

    it('holds for what is accepted at the same time', async () => {
      const { store, newBuild, reservation, account } = current();
      const builds = await Promise.all(Array.from({ length: 10 }, () => newBuild()));
      await Promise.allSettled([
        ...builds.map((build) => store.acceptBuild(build, reservation(), null, call)),
        store.setBudget('acme', 'USD', limit, { cap: 300 }, call),
      ]);
      const { limit: cap, reserved } = await account();
      expect(cap).toBe(300);
      const more = store.acceptBuild(
        await newBuild(),
        reservation({ amount: Math.max(1, 301 - reserved) }),
        null,
        call,
      );
      await expect(more).rejects.toMatchObject({ code: 'budget_exceeded' });
    });
  });
}
