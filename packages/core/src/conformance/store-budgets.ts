import { call, type Fixture, finished, limit } from './store-fixture.ts';
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

  describe('setBudget', () => {
    it('takes the place of the policy, in later periods too', async () => {
      const { store, newBuild, reservation, eventTypes } = current();
      await store.setBudget('acme', 'USD', limit, 150, call);
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
      expect(await store.setBudget('acme', 'USD', limit, null, call)).toMatchObject({
        limit: null,
      });
      await accept();
      await store.setBudget('acme', 'USD', limit, 0, call);
      await expect(accept()).rejects.toMatchObject({ code: 'budget_exceeded' });
    });

    it('may go below what is in use: then nothing more is accepted, and what runs is paid', async () => {
      const { store, newBuild, reservation, runningBuild, account } = current();
      const fences = [await runningBuild(), await runningBuild()];
      expect(await store.setBudget('acme', 'USD', limit, 50, call)).toMatchObject({
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
      await store.setBudget('acme', 'USD', limit, 300, call);
      await accept(100);
      await expect(accept(1)).rejects.toMatchObject({ code: 'budget_exceeded' });
    });

    it('holds for what is accepted at the same time', async () => {
      const { store, newBuild, reservation, account } = current();
      const builds = await Promise.all(Array.from({ length: 10 }, () => newBuild()));
      await Promise.allSettled([
        ...builds.map((build) => store.acceptBuild(build, reservation(), null, call)),
        store.setBudget('acme', 'USD', limit, 300, call),
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
