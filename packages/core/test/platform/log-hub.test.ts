import { once } from 'node:events';
import { createMemoryStore, type LogLine, type Store } from '@cygni/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { testCall } from '../fixtures/call.ts';
import { followLines } from '../fixtures/follow-lines.ts';
import { createScriptedPipeline, type ScriptedRun } from '../fixtures/scripted-pipeline.ts';
import { knownDigest } from '../fixtures/scripted-registry.ts';
import { startPlatform, type TestPlatform } from '../fixtures/start-platform.ts';

/** A build that prints what it is told to, until it is ended. */
function createToldPipeline() {
  const started = Promise.withResolvers<ScriptedRun>();
  const over = Promise.withResolvers<void>();
  const pipeline = createScriptedPipeline(async (_job, run) => {
    started.resolve(run);
    await over.promise;
    return { status: 'succeeded', digest: knownDigest, sizeBytes: 1, cache: null };
  });
  return { pipeline, started: started.promise, end: () => over.resolve() };
}

/** A store that notes which reads of logs there were. */
function createCountingStore() {
  const reads: { readonly after: number }[] = [];
  const memory = createMemoryStore();
  const store: Store = {
    ...memory,
    readLog(tenantId, id, page, call) {
      reads.push({ after: page.after });
      return memory.readLog(tenantId, id, page, call);
    },
  };
  return { store, reads };
}

async function textsOf(lines: AsyncIterable<LogLine>): Promise<string[]> {
  return (await Array.fromAsync(lines)).map(({ text }) => text);
}

async function storedLines(test: TestPlatform, id: string, count: number): Promise<void> {
  await test.until(async () => {
    const page = { after: 0, limit: 100_000 };
    const lines = await test.store.readLog('acme', id, page, testCall());
    return lines.length >= count || undefined;
  });
}

const numbered = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => `line ${from + index}`);

describe('a log that many follow', () => {
  it('is read once for all of them', async () => {
    const { pipeline, started, end } = createToldPipeline();
    const { store, reads } = createCountingStore();
    await using test = await startPlatform({ pipeline, store });
    const id = await test.build('acme');
    const run = await started;
    const followers = Array.from({ length: 100 }, () => textsOf(followLines(test, 'acme', id)));
    for (let round = 0; round < 5; round += 1) {
      for (const text of numbered(round * 10, 10)) run.print(text);
      await storedLines(test, id, (round + 1) * 10);
    }
    end();
    for (const texts of await Promise.all(followers)) expect(texts).toEqual(numbered(0, 50));
    expect(reads.length).toBeGreaterThan(5);
    expect(reads.length).toBeLessThan(100);
  });

  it('is read no more once nobody follows', async () => {
    const { pipeline, started, end } = createToldPipeline();
    const reading = Promise.withResolvers<AbortSignal>();
    const memory = createMemoryStore();
    const store: Store = {
      ...memory,
      async readLog(tenantId, id, page, call) {
        if (page.after === 0) return memory.readLog(tenantId, id, page, call);
        reading.resolve(call.signal);
        // A read that takes until its caller has left.
        await once(call.signal, 'abort');
        throw call.signal.reason;
      },
    };
    await using test = await startPlatform({ pipeline, store });
    const id = await test.build('acme');
    (await started).print('first');
    const leaving = new AbortController();
    const following = test.platform.builds.followLog('acme', id, 0, testCall(leaving.signal));
    const followed = Promise.allSettled([Array.fromAsync(following)]);
    const signal = await reading.promise;
    expect(signal.aborted).toBe(false);
    leaving.abort();
    await followed;
    expect(signal.aborted).toBe(true);
    end();
  });

  it('comes whole to one who joins late, and to one who is slow', async () => {
    const { pipeline, started, end } = createToldPipeline();
    await using test = await startPlatform({ pipeline });
    const id = await test.build('acme');
    const run = await started;
    const long = 'x'.repeat(10_000);
    const all = numbered(0, 300).map((text) => `${text} ${long}`);
    const quick = textsOf(followLines(test, 'acme', id));
    const slow = followLines(test, 'acme', id);
    const first = slow.next();
    for (const text of all) run.print(text);
    // More than is kept for those who are slow.
    await storedLines(test, id, all.length);
    const late = textsOf(followLines(test, 'acme', id));
    end();
    expect(await quick).toEqual(all);
    expect(await late).toEqual(all);
    const { value } = await first;
    expect([value?.text, ...(await textsOf(slow))]).toEqual(all);
  });

  it('comes to everybody though one asks for what is beyond its end', async () => {
    const { pipeline, started, end } = createToldPipeline();
    await using test = await startPlatform({ pipeline });
    const id = await test.build('acme');
    const run = await started;
    run.print('one');
    await storedLines(test, id, 1);
    const ahead = textsOf(followLines(test, 'acme', id, Number.MAX_SAFE_INTEGER));
    const honest = followLines(test, 'acme', id);
    expect((await honest.next()).value?.text).toBe('one');
    run.print('two');
    expect((await honest.next()).value?.text).toBe('two');
    end();
    expect(await textsOf(honest)).toEqual([]);
    expect(await ahead).toEqual([]);
  });

  it('comes to each once and in order, whenever he joins and wherever he begins', async () => {
    const joins = fc.array(fc.record({ round: fc.nat(4), after: fc.nat(60) }), {
      minLength: 1,
      maxLength: 8,
    });
    const bursts = fc.array(fc.nat(15), { minLength: 5, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(joins, bursts, async (followers, counts) => {
        const { pipeline, started, end } = createToldPipeline();
        await using test = await startPlatform({ pipeline });
        const id = await test.build('acme');
        const run = await started;
        const seen: Promise<{ after: number; sequences: number[] }>[] = [];
        let printed = 0;
        for (const [round, count] of counts.entries()) {
          for (const follower of followers.filter((each) => each.round === round)) {
            const lines = Array.fromAsync(followLines(test, 'acme', id, follower.after));
            seen.push(
              lines.then((all) => ({
                after: follower.after,
                sequences: all.map(({ sequence }) => sequence),
              })),
            );
          }
          for (const text of numbered(printed, count)) run.print(text);
          printed += count;
          await storedLines(test, id, printed);
        }
        end();
        for (const { after, sequences } of await Promise.all(seen)) {
          const wanted = Array.from({ length: printed }, (_, index) => index + 1);
          expect(sequences).toEqual(wanted.filter((sequence) => sequence > after));
        }
      }),
      { numRuns: 15 },
    );
  });

  it('ends for one whose call is aborted, and goes on for the others', async () => {
    const { pipeline, started, end } = createToldPipeline();
    await using test = await startPlatform({ pipeline });
    const id = await test.build('acme');
    const run = await started;
    run.print('one');
    const leaver = new AbortController();
    const stays = textsOf(followLines(test, 'acme', id));
    const updates = test.platform.builds.followLog('acme', id, 0, testCall(leaver.signal));
    const { value } = await updates.next();
    expect(value).toMatchObject({ lines: [{ text: 'one' }] });
    const next = updates.next();
    leaver.abort();
    expect(await next).toEqual({ value: undefined, done: true });
    run.print('two');
    end();
    expect(await stays).toEqual(['one', 'two']);
  });
});
