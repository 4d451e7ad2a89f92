import { randomUUID } from 'node:crypto';
import { call, digest, type Fixture, finished, leaseSeconds } from './store-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

export function testClaims({ describe, it, expect }: TestFunctions, current: () => Fixture) {
  describe('a claim on a build', () => {
    it('has the build and its source', async () => {
      const { store, dispatchedBuild, eventTypes } = current();
      const id = await dispatchedBuild();
      const claim = await store.claimBuild(id, leaseSeconds, call);
      expect(claim).toMatchObject({
        build: { id, state: 'RUNNING', attempt: 1, cancelRequested: false },
        source: { id: claim?.build.sourceId, tenantId: 'acme', sizeBytes: 10 },
      });
      expect([...(await eventTypes())].sort()).toEqual([
        'build.accepted',
        'build.started',
        'source.added',
      ]);
    });

    it('tells with what request the build was accepted, each time', async () => {
      const { store, dispatchedBuild, dispatchAll } = current();
      const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
      const id = await dispatchedBuild({ traceparent });
      expect(await store.claimBuild(id, leaseSeconds, call)).toMatchObject({ traceparent });
      await store.releaseBuild({ id, attempt: 1 }, { countAttempt: true }, call);
      await dispatchAll();
      expect(await store.claimBuild(id, leaseSeconds, call)).toMatchObject({ traceparent });
      const other = await dispatchedBuild();
      const claim = await store.claimBuild(other, leaseSeconds, call);
      expect(claim).toMatchObject({ traceparent: null });
    });

    it('is had by one of many', async () => {
      const { store, dispatchedBuild } = current();
      const id = await dispatchedBuild();
      const claims = await Promise.all(
        Array.from({ length: 10 }, () => store.claimBuild(id, leaseSeconds, call)),
      );
      expect(claims.filter((claim) => claim !== null)).toHaveLength(1);
    });

    it('is not had on what is unknown, runs or has ended', async () => {
      const { store, runningBuild } = current();
      expect(await store.claimBuild(randomUUID(), leaseSeconds, call)).toBe(null);
      const fence = await runningBuild();
      expect(await store.claimBuild(fence.id, leaseSeconds, call)).toBe(null);
      await store.finishBuild(fence, finished, call);
      expect(await store.claimBuild(fence.id, leaseSeconds, call)).toBe(null);
    });

    it('lasts while it is kept alive', async () => {
      const { store, runningBuild, elapse } = current();
      const fence = await runningBuild();
      await elapse(leaseSeconds * 0.8);
      expect(await store.heartbeatBuild(fence, leaseSeconds, call)).toEqual({
        cancelRequested: false,
      });
      await elapse(leaseSeconds * 0.8);
      expect(await store.claimBuild(fence.id, leaseSeconds, call)).toBe(null);
    });

    it('goes to another when its lease has ended; the first can write nothing more', async () => {
      const { store, runningBuild, elapse, account } = current();
      const old = await runningBuild();
      await elapse(leaseSeconds + 1);
      const claim = await store.claimBuild(old.id, leaseSeconds, call);
      expect(claim?.build.attempt).toBe(2);

      const line = { time: '2026-01-01T00:00:00.000Z', text: 'stale' };
      expect(await store.heartbeatBuild(old, leaseSeconds, call)).toBe(null);
      expect(await store.appendLog({ ...old, position: 0, lines: [line] }, call)).toBe(false);
      expect(await store.releaseBuild(old, { countAttempt: true }, call)).toBe(false);
      expect(await store.finishBuild(old, finished, call)).toBe(false);

      expect(await store.getBuild('acme', old.id, call)).toMatchObject({ state: 'RUNNING' });
      expect(await store.readLog('acme', old.id, { after: 0, limit: 10 }, call)).toEqual([]);
      expect(await account()).toMatchObject({ reserved: 100, spent: 0 });
    });

    it('tells which run goes on, for how long, and how much of its log is stored', async () => {
      const { store, dispatchedBuild, dispatchAll, runningBuild, elapse } = current();
      const other = await runningBuild();
      const id = await dispatchedBuild();
      const claim = async () => (await store.claimBuild(id, leaseSeconds, call))?.run;
      const timeOf = (position: number) => `2026-01-01T00:00:00.${100_000_000 + position}Z`;
      // What is stored as JSON must not be taken for its syntax.
      const texts = ['a', '["b"],["\u0000', 'c\\'];
      const append = (attempt: number, position: number) => {
        const lines = texts.map((text, index) => ({ time: timeOf(position + index), text }));
        return store.appendLog({ id, attempt, position, lines }, call);
      };
      const stored = (position: number) => ({
        position,
        firstTime: timeOf(4),
        lastTime: timeOf(position),
      });
      expect(await claim()).toMatchObject({ attempt: 1, storedLog: null });
      const line = { time: '2026-01-01T00:00:00.000Z', text: 'of another build' };
      for (const position of [1, 50]) {
        await store.appendLog({ ...other, position, lines: [line] }, call);
      }
      await append(1, 4);
      await append(1, 7);
      await elapse(leaseSeconds + 1);
      const second = await claim();
      expect(second).toMatchObject({ attempt: 1, storedLog: stored(9) });
      expect(Math.floor(second?.ageSeconds ?? 0)).toBe(leaseSeconds + 1);
      await append(2, 10);
      await store.releaseBuild({ id, attempt: 2 }, { countAttempt: false }, call);
      await dispatchAll();
      expect(await claim()).toMatchObject({ attempt: 1, storedLog: stored(12) });
    });

    it('begins another run once an attempt that counts was given back', async () => {
      const { store, runningBuild, dispatchAll, elapse } = current();
      const fence = await runningBuild();
      const lines = [{ time: '2026-01-01T00:00:00.000Z', text: 'of the first run' }];
      await store.appendLog({ ...fence, position: 1, lines }, call);
      await store.releaseBuild(fence, { countAttempt: true }, call);
      await dispatchAll();
      const claim = await store.claimBuild(fence.id, leaseSeconds, call);
      expect(claim?.run).toMatchObject({ attempt: 2, storedLog: null });
      expect(Math.floor(claim?.run.ageSeconds ?? -1)).toBe(0);
      const time = '2026-01-01T00:01:00.000Z';
      const line = { time, text: 'of the second run' };
      await store.appendLog({ id: fence.id, attempt: 2, position: 2, lines: [line] }, call);
      await elapse(leaseSeconds + 1);
      const storedLog = { position: 2, firstTime: time, lastTime: time };
      const third = await store.claimBuild(fence.id, leaseSeconds, call);
      expect(third?.run).toMatchObject({ attempt: 2, storedLog });
    });

    it('is had as often as the build may be tried', async () => {
      const { store, dispatchedBuild, elapse } = current();
      const id = await dispatchedBuild({ maximumAttempts: 2 });
      for (const attempt of [1, 2]) {
        expect(await store.claimBuild(id, leaseSeconds, call)).toMatchObject({
          build: { attempt },
          attemptsLeft: 2 - attempt,
        });
        await elapse(leaseSeconds + 1);
      }
      expect(await store.claimBuild(id, leaseSeconds, call)).toBe(null);
    });
  });

  describe('releaseBuild', () => {
    it('queues the build again, with a message', async () => {
      const { store, runningBuild, messages } = current();
      const fence = await runningBuild();
      await messages();
      expect(await store.releaseBuild(fence, { countAttempt: true }, call)).toBe(true);
      expect(await messages()).toEqual([{ v: 1, kind: 'build', id: fence.id }]);
      expect(await store.heartbeatBuild(fence, leaseSeconds, call)).toBe(null);
      const claim = await store.claimBuild(fence.id, leaseSeconds, call);
      expect(claim?.build).toMatchObject({ state: 'RUNNING', attempt: 2 });
    });

    it('counts the attempt, or does not', async () => {
      const { store, dispatchedBuild, dispatchAll } = current();
      for (const countAttempt of [true, false]) {
        const id = await dispatchedBuild({ maximumAttempts: 1 });
        const claim = await store.claimBuild(id, leaseSeconds, call);
        const fence = { id, attempt: claim?.build.attempt ?? 0 };
        await store.releaseBuild(fence, { countAttempt }, call);
        await dispatchAll();
        const again = await store.claimBuild(id, leaseSeconds, call);
        expect(again === null).toBe(countAttempt);
      }
    });

    it('ends a build that is to be cancelled', async () => {
      const { store, runningBuild, messages, account, eventTypes } = current();
      const fence = await runningBuild();
      await store.cancelBuild('acme', fence.id, call);
      await messages();
      expect(await store.releaseBuild(fence, { countAttempt: true }, call)).toBe(true);
      expect(await store.getBuild('acme', fence.id, call)).toMatchObject({
        state: 'CANCELLED',
        cost: 0,
      });
      expect(await messages()).toEqual([]);
      expect((await eventTypes()).includes('build.released')).toBe(false);
      expect(await account()).toMatchObject({ reserved: 0, spent: 0 });
    });
  });

  describe('finishBuild', () => {
    it('ends the build and settles its hold', async () => {
      const { store, runningBuild, account, eventTypes } = current();
      const fence = await runningBuild();
      expect(await store.finishBuild(fence, finished, call)).toBe(true);
      const build = await store.getBuild('acme', fence.id, call);
      expect(build).toMatchObject({ state: 'SUCCEEDED', image: finished.image, cost: 40 });
      expect(typeof build?.finishedAt).toBe('string');
      expect(await account()).toMatchObject({ reserved: 0, spent: 40 });
      expect((await eventTypes()).includes('build.finished')).toBe(true);
    });

    it('keeps what the layer cache did', async () => {
      const { store, runningBuild } = current();
      const fence = await runningBuild();
      const cache = { hits: 3, misses: 1, degraded: true };
      await store.finishBuild(fence, { ...finished, cache }, call);
      expect(await store.getBuild('acme', fence.id, call)).toMatchObject({ cache });
    });

    it('charges what was held at the most', async () => {
      const { store, runningBuild, account } = current();
      await store.finishBuild(await runningBuild(), { ...finished, charge: 1_000 }, call);
      expect(await account()).toMatchObject({ reserved: 0, spent: 100 });
    });

    it('charges nothing for a fault of the platform', async () => {
      const { store, runningBuild, account } = current();
      const fence = await runningBuild();
      const failure = {
        reason: 'evicted',
        message: 'the machine went away\0',
        platformFault: true,
      } as const;
      const end = { state: 'FAILED', image: null, failure, charge: 0 } as const;
      await store.finishBuild(fence, end, call);
      expect(await store.getBuild('acme', fence.id, call)).toMatchObject({ failure, cost: 0 });
      expect(await account()).toMatchObject({ reserved: 0, spent: 0 });
    });

    it('ends a build once, and says so to each who ended it in this way', async () => {
      const { store, runningBuild, account, eventTypes } = current();
      const fence = await runningBuild();
      const results = await Promise.all(
        Array.from({ length: 5 }, () => store.finishBuild(fence, finished, call)),
      );
      expect(results).toEqual(results.map(() => true));
      expect(await account()).toMatchObject({ reserved: 0, spent: 40 });
      expect((await eventTypes()).filter((type) => type === 'build.finished')).toHaveLength(1);
    });

    it('refuses to end a build in another way than it has ended', async () => {
      const { store, runningBuild } = current();
      const fence = await runningBuild();
      await store.finishBuild(fence, finished, call);
      const image = { repository: 'acme/site', digest, sizeBytes: 1 };
      const failure = { reason: 'oom', message: 'out of memory', platformFault: false } as const;
      for (const change of [{ state: 'FAILED' }, { image }, { failure }] as const) {
        expect(await store.finishBuild(fence, { ...finished, ...change }, call)).toBe(false);
      }
      expect(await store.finishBuild({ ...fence, attempt: 2 }, finished, call)).toBe(false);
    });
  });

  describe('cancelBuild', () => {
    it('ends a queued build at once', async () => {
      const { store, dispatchedBuild, account } = current();
      const id = await dispatchedBuild();
      expect(await store.cancelBuild('acme', id, call)).toMatchObject({ state: 'CANCELLED' });
      expect(await store.claimBuild(id, leaseSeconds, call)).toBe(null);
      expect(await account()).toMatchObject({ reserved: 0, spent: 0 });
    });

    it('is learned by the next heartbeat of a running one', async () => {
      const { store, runningBuild, eventTypes } = current();
      const fence = await runningBuild();
      for (const _ of ['once', 'and again']) {
        expect(await store.cancelBuild('acme', fence.id, call)).toMatchObject({
          state: 'RUNNING',
          cancelRequested: true,
        });
      }
      expect(await store.heartbeatBuild(fence, leaseSeconds, call)).toEqual({
        cancelRequested: true,
      });
      const types = await eventTypes();
      expect(types.filter((type) => type === 'build.cancel_requested')).toHaveLength(1);
    });

    it('leaves a build that has ended as it is', async () => {
      const { store, runningBuild } = current();
      const fence = await runningBuild();
      await store.finishBuild(fence, finished, call);
      expect(await store.cancelBuild('acme', fence.id, call)).toMatchObject({
        state: 'SUCCEEDED',
        cancelRequested: false,
      });
    });

    it('races a claim: the build is cancelled, or its worker learns of it', async () => {
      const { store, dispatchedBuild, account } = current();
      for (let round = 0; round < 10; round += 1) {
        const id = await dispatchedBuild();
        const [claim] = await Promise.all([
          store.claimBuild(id, leaseSeconds, call),
          store.cancelBuild('acme', id, call),
        ]);
        if (claim) {
          const fence = { id, attempt: claim.build.attempt };
          expect(await store.heartbeatBuild(fence, leaseSeconds, call)).toEqual({
            cancelRequested: true,
          });
          const end = { ...finished, state: 'CANCELLED', image: null, charge: 0 } as const;
          expect(await store.finishBuild(fence, end, call)).toBe(true);
        }
        expect(await store.getBuild('acme', id, call)).toMatchObject({ state: 'CANCELLED' });
      }
      expect(await account()).toMatchObject({ reserved: 0, spent: 0 });
    });

    it('races a finish: there is one end, and it is paid once', async () => {
      const { store, runningBuild, account, eventTypes } = current();
      const rounds = 10;
      for (let round = 0; round < rounds; round += 1) {
        const fence = await runningBuild();
        await Promise.all([
          store.finishBuild(fence, finished, call),
          store.cancelBuild('acme', fence.id, call),
        ]);
        expect(await store.getBuild('acme', fence.id, call)).toMatchObject({ state: 'SUCCEEDED' });
      }
      expect(await account()).toMatchObject({ reserved: 0, spent: 40 * rounds });
      const ends = (await eventTypes()).filter((type) => type === 'build.finished');
      expect(ends).toHaveLength(rounds);
    });
  });
}
