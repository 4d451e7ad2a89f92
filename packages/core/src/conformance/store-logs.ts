import { call, type Fixture, finished, leaseSeconds } from './store-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

const time = '2026-01-01T00:00:00.123Z';

function lines(from: number, count: number) {
  return Array.from({ length: count }, (_, index) => ({ time, text: `line ${from + index}` }));
}

export function testLogs({ describe, it, expect }: TestFunctions, current: () => Fixture) {
  describe('a log', () => {
    it('is read in order from any line on', async () => {
      const { store, runningBuild } = current();
      const fence = await runningBuild();
      for (const position of [0, 10, 20]) {
        const append = { ...fence, position, lines: lines(position, 10) };
        expect(await store.appendLog(append, call)).toBe(true);
      }
      const read = (after: number, limit: number) =>
        store.readLog('acme', fence.id, { after, limit }, call);
      const all = await read(0, 100);
      expect(all.map(({ text }) => text)).toEqual(lines(0, 30).map(({ text }) => text));
      expect(all[0]).toEqual({ sequence: 1, attempt: 1, time, text: 'line 0' });
      for (const after of [0, 4, 9, 10, 11, 29]) {
        const expected = all.filter(({ sequence }) => sequence > after).slice(0, 12);
        expect(await read(after, 12)).toEqual(expected);
      }
      expect(await read(30, 10)).toEqual([]);
    });

    it('takes no line of who gave the build back, or has ended it', async () => {
      const { store, runningBuild } = current();
      for (const end of ['release', 'finish'] as const) {
        const fence = await runningBuild();
        if (end === 'release') await store.releaseBuild(fence, { countAttempt: false }, call);
        else await store.finishBuild(fence, finished, call);
        const append = { ...fence, position: 0, lines: lines(0, 1) };
        expect(await store.appendLog(append, call)).toBe(false);
        expect(await store.readLog('acme', fence.id, { after: 0, limit: 1 }, call)).toEqual([]);
      }
    });

    it('takes the same position once', async () => {
      const { store, runningBuild } = current();
      const fence = await runningBuild();
      const append = { ...fence, position: 0, lines: lines(0, 3) };
      const kept = await Promise.all([
        store.appendLog(append, call),
        store.appendLog(append, call),
        store.appendLog(append, call),
      ]);
      expect(kept).toEqual([true, true, true]);
      await store.appendLog(append, call);
      await store.appendLog({ ...fence, position: 3, lines: lines(3, 1) }, call);
      const read = await store.readLog('acme', fence.id, { after: 0, limit: 10 }, call);
      expect(read.map(({ text }) => text)).toEqual(lines(0, 4).map(({ text }) => text));
    });

    it('goes on over attempts', async () => {
      const { store, runningBuild, dispatchAll } = current();
      const first = await runningBuild();
      await store.appendLog({ ...first, position: 0, lines: lines(0, 2) }, call);
      await store.releaseBuild(first, { countAttempt: true }, call);
      await dispatchAll();
      await store.claimBuild(first.id, leaseSeconds, call);
      const second = { id: first.id, attempt: 2 };
      await store.appendLog({ ...second, position: 0, lines: lines(0, 2) }, call);
      const read = await store.readLog('acme', first.id, { after: 0, limit: 10 }, call);
      expect(read.map(({ attempt, text }) => [attempt, text])).toEqual([
        [1, 'line 0'],
        [1, 'line 1'],
        [2, 'line 0'],
        [2, 'line 1'],
      ]);
      const sequences = read.map(({ sequence }) => sequence);
      expect(sequences).toEqual([...new Set(sequences)].sort((left, right) => left - right));
    });

    it('keeps every character', async () => {
      const { store, runningBuild } = current();
      const fence = await runningBuild();
      const text = `\0 \u2028 \u{1f680} "quoted" \\ \u001b[31mred`;
      await store.appendLog({ ...fence, position: 0, lines: [{ time, text }] }, call);
      await store.appendLog({ ...fence, position: 1, lines: [] }, call);
      const [line] = await store.readLog('acme', fence.id, { after: 0, limit: 10 }, call);
      expect(line?.text).toBe(text);
    });
  });
}
