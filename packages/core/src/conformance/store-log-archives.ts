import { randomUUID } from 'node:crypto';
import type { Fence } from '../contracts/store.ts';
import type { LogLine } from '../model/log.ts';
import { call, type Fixture, finished, leaseSeconds } from './store-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

const time = '2026-01-01T00:00:00.123Z';
const lease = { leaseSeconds };

export function testLogArchives({ describe, it, expect }: TestFunctions, current: () => Fixture) {
  /** What was written, by key. */
  const artifacts = new Map<string, readonly LogLine[]>();

  async function running(lines = 1_203): Promise<Fence> {
    const { store, runningBuild } = current();
    const fence = await runningBuild();
    for (let position = 0; position < lines; position += 400) {
      const count = Math.min(400, lines - position);
      const chunk = Array.from({ length: count }, (_, index) => ({
        time,
        text: `line ${position + index}`,
      }));
      await store.appendLog({ ...fence, position, lines: chunk }, call);
    }
    return fence;
  }

  async function ended(lines?: number): Promise<string> {
    const fence = await running(lines);
    await current().store.finishBuild(fence, finished, call);
    return fence.id;
  }

  const archive = () =>
    current().store.archiveLog(
      lease,
      async ({ key, lines }) => {
        artifacts.set(key, await Array.fromAsync(lines));
      },
      call,
    );
  const read = (id: string) =>
    current().store.readLog('acme', id, { after: 0, limit: 5_000 }, call);
  const keyOf = (id: string) => current().store.getLogArchive('acme', id, call);

  describe('archiveLog', () => {
    it('hands out every line of a log that has ended, and then drops them', async () => {
      const { store, eventTypes } = current();
      const id = await ended();
      const before = await read(id);
      expect(before).toHaveLength(1_203);
      expect(await keyOf(id)).toBe(null);
      expect(await archive()).toBe(true);
      const key = await keyOf(id);
      expect(artifacts.get(key ?? '')).toEqual(before);
      expect(await read(id)).toEqual([]);
      expect(await store.getLogArchive('other', id, call)).toBe(null);
      expect((await eventTypes()).includes('build.log_archived')).toBe(true);
      expect(await archive()).toBe(false);
    });

    it('leaves the logs of builds that go on, and has none where nothing was logged', async () => {
      const { store } = current();
      const fence = await running(2);
      await ended(0);
      expect(await archive()).toBe(false);
      await store.releaseBuild(fence, { countAttempt: true }, call);
      expect(await archive()).toBe(false);
      await store.cancelBuild('acme', fence.id, call);
      expect(await archive()).toBe(true);
      expect(await store.getLogArchive('acme', randomUUID(), call)).toBe(null);
    });

    it('keeps the lines when they could not be written, and hands them out again later', async () => {
      const { store, elapse, garbage } = current();
      const id = await ended(3);
      const before = await read(id);
      const refusal = new Error('the disk is full');
      let given = '';
      const failing = store.archiveLog(
        lease,
        async ({ key }) => {
          given = key;
          throw refusal;
        },
        call,
      );
      expect(await failing.catch((error: unknown) => error)).toBe(refusal);
      expect(await read(id)).toEqual(before);
      expect(await keyOf(id)).toBe(null);
      expect(await archive()).toBe(false);
      await elapse(leaseSeconds + 1);
      expect(await archive()).toBe(true);
      const key = await keyOf(id);
      expect(key === given).toBe(false);
      expect(artifacts.get(key ?? '')).toEqual(before);
      expect(await garbage()).toEqual([given]);
    });

    it('goes on to other logs while one cannot be written', async () => {
      const { store } = current();
      const ids = [await ended(1), await ended(1)];
      const refusal = new Error('no');
      await store.archiveLog(lease, () => Promise.reject(refusal), call).catch(() => {});
      expect(await archive()).toBe(true);
      expect(await archive()).toBe(false);
      const keys = await Promise.all(ids.map(keyOf));
      expect(keys.filter((key) => key === null)).toHaveLength(1);
    });

    it('gives no log to two at once', async () => {
      const ids = await Promise.all([ended(1), ended(1), ended(1)]);
      const written: string[] = [];
      const { store } = current();
      const write = async ({ buildId }: { readonly buildId: string }) => {
        written.push(buildId);
      };
      for (let round = 0; round < 3; round += 1) {
        await Promise.all(Array.from({ length: 4 }, () => store.archiveLog(lease, write, call)));
      }
      expect(written.sort()).toEqual(ids.sort());
    });

    it('ignores whoever is late: the log is what another wrote in time', async () => {
      const { store, elapse, garbage } = current();
      const id = await ended(5);
      const before = await read(id);
      let late = '';
      await store.archiveLog(
        lease,
        async ({ key }) => {
          late = key;
          await elapse(leaseSeconds + 1);
          expect(await archive()).toBe(true);
        },
        call,
      );
      const key = await keyOf(id);
      expect(key === late).toBe(false);
      expect(artifacts.get(key ?? '')).toEqual(before);
      expect(await garbage()).toEqual([late]);
    });
  });

  describe('whoever is late with a log', () => {
    it('completes nothing of what another is writing', async () => {
      const { store, elapse, garbage } = current();
      const id = await ended(5);
      const before = await read(id);
      let late = '';
      let writing: Promise<boolean> | undefined;
      const isLate = Promise.withResolvers<void>();
      await store.archiveLog(
        lease,
        async ({ key: outdated }) => {
          late = outdated;
          await elapse(leaseSeconds + 1);
          const begun = Promise.withResolvers<void>();
          writing = store.archiveLog(
            lease,
            async ({ key, lines }) => {
              begun.resolve();
              await isLate.promise;
              artifacts.set(key, await Array.fromAsync(lines));
            },
            call,
          );
          await Promise.race([begun.promise, writing]);
        },
        call,
      );
      const seen = { key: await keyOf(id), lines: await read(id) };
      isLate.resolve();
      expect(await writing).toBe(true);
      expect(seen).toEqual({ key: null, lines: before });
      expect(artifacts.get((await keyOf(id)) ?? '')).toEqual(before);
      expect(await garbage()).toEqual([late]);
    });
  });

  describe('an archived log', () => {
    const kept = 1_000;
    const prune = () =>
      current().store.prune(
        { workSeconds: kept, sourceSeconds: kept, eventSeconds: 1_000 * kept, limit: 10 },
        call,
      );

    it('goes with its build', async () => {
      const { elapse, garbage } = current();
      const id = await ended(1);
      await archive();
      const key = await keyOf(id);
      await elapse(kept + 10);
      expect(await prune()).toMatchObject({ builds: 1 });
      expect(await keyOf(id)).toBe(null);
      expect((await garbage()).includes(key ?? '')).toBe(true);
    });

    it('keeps its build while it is being written', async () => {
      const { store, elapse } = current();
      const id = await ended(1);
      await elapse(kept + 10);
      await store.archiveLog(
        lease,
        async () => {
          expect(await prune()).toMatchObject({ builds: 0 });
        },
        call,
      );
      expect((await keyOf(id)) !== null).toBe(true);
      expect(await prune()).toMatchObject({ builds: 1 });
    });
  });
}
