import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Fault, startLogEndpoint, type WrittenLine } from './fake-log-endpoint.ts';
import { follow, until } from './following.ts';

const second = 1_000_000_000n;
const start = 1_795_543_648n * second;
const at = (nanoseconds: bigint | number, text: string): WrittenLine => ({
  time: start + BigInt(nanoseconds),
  text,
});
const texts = (lines: readonly { readonly text: string }[]) => lines.map(({ text }) => text);
const numbered = (texts: readonly string[]) =>
  texts.map((text, index) => ({ position: index + 1, text }));

describe('following a container log', () => {
  it('asks for nothing until the watch sees the container run, and then gives the first line', async () => {
    await using endpoint = await startLogEndpoint();
    const following = follow(endpoint, { started: false });
    let changes = 0;
    await until('some changes', () => {
      following.change();
      changes += 1;
      return changes === 10;
    });
    expect(endpoint.queries).toEqual([]);
    endpoint.start();
    endpoint.print(at(5, 'first'));
    following.start();
    await until('the first line', () => following.lines.length === 1);
    expect(following.lines).toEqual([
      { position: 1, time: '2026-11-24T18:07:28.000000005Z', text: 'first' },
    ]);
    endpoint.end();
    following.end();
    await following.done;
  });

  it.each([
    ['has not run yet', 400],
    ['has no node yet', 204],
  ])(
    'asks again where the node says that the container %s, though the watch saw it run',
    async (_what, status) => {
      await using endpoint = await startLogEndpoint();
      endpoint.start();
      endpoint.print(at(5, 'first'));
      endpoint.faults.push(...Array<Fault>(3).fill({ kind: 'status', status }));
      const following = follow(endpoint);
      await until('the first line', () => following.lines.length === 1);
      expect(endpoint.queries).toHaveLength(4);
      endpoint.end();
      following.end();
      await following.done;
    },
  );

  it('ends with a container that never ran', async () => {
    await using endpoint = await startLogEndpoint();
    const following = follow(endpoint, { started: false });
    endpoint.remove();
    following.end();
    expect(await following.done).toEqual([]);
  });

  it('gives each line once when the stream breaks, even of equal texts with one timestamp', async () => {
    await using endpoint = await startLogEndpoint();
    endpoint.start();
    const following = follow(endpoint);
    endpoint.print(at(1, 'same'), at(1, 'same'), at(1, 'same'));
    await until('three lines', () => following.lines.length === 3);
    endpoint.drop();
    endpoint.print(at(1, 'same'), at(2, 'other'));
    await until('five lines', () => following.lines.length === 5);
    endpoint.end();
    following.end();
    expect(texts(await following.done)).toEqual(['same', 'same', 'same', 'same', 'other']);
  });

  it('loses no line that was written a moment later with an earlier timestamp', async () => {
    await using endpoint = await startLogEndpoint();
    endpoint.start();
    const following = follow(endpoint);
    endpoint.print(at(0, 'a'), at(second + 1n, 'stdout'));
    await until('two lines', () => following.lines.length === 2);
    endpoint.drop();
    endpoint.print(at(second - 1n, 'stderr'), at(second, 'stderr again'));
    await until('four lines', () => following.lines.length === 4);
    endpoint.drop();
    endpoint.print(at(second * 2n, 'on'));
    endpoint.end();
    following.end();
    expect(texts(await following.done)).toEqual(['a', 'stdout', 'stderr', 'stderr again', 'on']);
  });

  it('loses nothing when the clock of the node is set back by ten minutes', async () => {
    await using endpoint = await startLogEndpoint();
    endpoint.start();
    const following = follow(endpoint);
    endpoint.print(at(0, 'a'), at(second, 'b'), at(-600n * second, 'c'));
    await until('three lines', () => following.lines.length === 3);
    endpoint.drop();
    endpoint.print(at(-599n * second, 'd'));
    await until('four lines', () => following.lines.length === 4);
    endpoint.drop();
    endpoint.print(at(-598n * second, 'e'), at(5n * second, 'f'));
    endpoint.end();
    following.end();
    expect(texts(await following.done)).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  });

  it('reads once more after the end what a dropped follow had not given', async () => {
    await using endpoint = await startLogEndpoint();
    endpoint.start();
    const following = follow(endpoint);
    endpoint.print(at(0, 'a'));
    await until('a line', () => following.lines.length === 1);
    endpoint.drop();
    endpoint.print(at(1, 'b'), at(2, 'c'));
    endpoint.end();
    following.end();
    expect(texts(await following.done)).toEqual(['a', 'b', 'c']);
    expect(endpoint.queries.at(-1)?.get('follow')).toBe('false');
  });

  it('gives up a follow that hangs once the container has ended', async () => {
    await using endpoint = await startLogEndpoint();
    endpoint.start();
    endpoint.faults.push({ kind: 'hang', after: 0 });
    const following = follow(endpoint);
    await until('the follow', () => endpoint.queries.length === 1);
    endpoint.print(at(0, 'a'));
    endpoint.end();
    following.end();
    expect(texts(await following.done)).toEqual(['a']);
  });

  it('asks the node whether a container still runs that has nothing left to do, and gives its last line without a line feed', async () => {
    await using endpoint = await startLogEndpoint();
    endpoint.start();
    const following = follow(endpoint);
    endpoint.print(at(0, 'pushed'));
    await until('a line', () => following.lines.length === 1);
    following.expectEnd();
    await until('asked whether it runs', () => endpoint.queries.length > 2);
    endpoint.print({ ...at(1, 'last words'), open: true });
    endpoint.end();
    expect(texts(await following.done)).toEqual(['pushed', 'last words']);
    expect(new Set(endpoint.queries.map((query) => query.get('follow')))).toEqual(
      new Set(['true']),
    );
  });

  it('ends with the pod, when that is gone', async () => {
    await using endpoint = await startLogEndpoint();
    endpoint.start();
    const following = follow(endpoint);
    endpoint.print(at(0, 'a'));
    await until('a line', () => following.lines.length === 1);
    endpoint.remove();
    following.end();
    expect(texts(await following.done)).toEqual(['a']);
  });

  it('ends without a line where the container never ran', async () => {
    await using endpoint = await startLogEndpoint();
    const following = follow(endpoint);
    following.end();
    expect(await following.done).toEqual([]);
  });

  it('gives another process the same positions', async () => {
    await using endpoint = await startLogEndpoint();
    endpoint.start();
    endpoint.print(at(0, 'a'), at(0, 'b'), at(second * 3n, 'c'), at(second * 3n, 'd'));
    const first = follow(endpoint);
    await until('four lines', () => first.lines.length === 4);
    endpoint.end();
    first.end();
    await first.done;
    const second_ = follow(endpoint, { after: 2 });
    second_.end();
    expect(await second_.done).toEqual(first.lines.slice(2));
  });

  it('marks what a rotation took while nobody read', async () => {
    await using endpoint = await startLogEndpoint();
    endpoint.start();
    const following = follow(endpoint);
    endpoint.print(at(0, 'a'));
    await until('a line', () => following.lines.length === 1);
    endpoint.faults.push({ kind: 'status', status: 503 });
    endpoint.drop();
    endpoint.print(at(1, 'lost'));
    endpoint.rotate();
    endpoint.print(at(2, 'b'), at(2, 'c'));
    await until('four lines', () => following.lines.length === 4);
    endpoint.drop();
    endpoint.print(at(3, 'd'));
    endpoint.end();
    following.end();
    expect(texts(await following.done)).toEqual([
      'a',
      '[lines may be missing here: the node rotated the log away]',
      'b',
      'c',
      'd',
    ]);
    expect(following.lines.map(({ position }) => position)).toEqual([1, 2, 3, 4, 5]);
  });

  it('goes on behind what another process had, where a rotation took the beginning', async () => {
    const stored = {
      position: 3,
      firstTime: '2026-11-24T18:07:28.000000000Z',
      lastTime: '2026-11-24T18:07:28.000000002Z',
    };
    const mark = { position: 4, text: expect.stringContaining('lines may be missing here') };
    const rest = [
      { text: 'd', time: expect.any(String) },
      { text: 'e', time: expect.any(String) },
    ];
    for (const [begin, expected] of [
      // The newest file still has the last line of those: none is missing.
      [
        [at(1, 'b'), at(2, 'c')],
        [{ position: 4 }, { position: 5 }],
      ],
      [[at(2, 'c')], [{ position: 4 }, { position: 5 }]],
      [[], [mark, { position: 5 }, { position: 6 }]],
    ] as const) {
      await using endpoint = await startLogEndpoint();
      endpoint.start();
      endpoint.print(...begin);
      // Nothing new was met before the connection broke.
      if (begin.length > 0) endpoint.faults.push({ kind: 'end', after: 40 });
      const following = follow(endpoint, { after: 3, stored });
      await until('asked', () => endpoint.queries.length > 0);
      endpoint.print(at(3, 'd'), at(second * 9n, 'e'));
      await until('the last line', () => following.lines.at(-1)?.text === 'e');
      endpoint.drop();
      endpoint.end();
      following.end();
      const found = await following.done;
      expect(found).toMatchObject(expected);
      expect(found.slice(-2)).toMatchObject(rest);
    }
  });

  it('counts from the first line where another process had some, and that is still there', async () => {
    const stored = {
      position: 2,
      firstTime: '2026-11-24T18:07:28.000000000Z',
      lastTime: '2026-11-24T18:07:28.000000000Z',
    };
    await using endpoint = await startLogEndpoint();
    endpoint.start();
    // All of one time: only their number tells them apart.
    endpoint.print(at(0, 'a'), at(0, 'b'), at(0, 'c'));
    const following = follow(endpoint, { stored });
    await until('three lines', () => following.lines.length === 3);
    endpoint.end();
    following.end();
    expect(await following.done).toMatchObject(numbered(['a', 'b', 'c']));
  });

  it('keeps characters whole that arrive in pieces', async () => {
    await using endpoint = await startLogEndpoint();
    endpoint.bytesPerChunk.value = 1;
    endpoint.start();
    endpoint.print(at(0, 'naïve 日本語 🚀\r'), at(1, ''), at(2, ' indented'));
    endpoint.end();
    const following = follow(endpoint);
    following.end();
    expect(texts(await following.done)).toEqual(['naïve 日本語 🚀', '', ' indented']);
  });

  it('cuts a line that is too long, and goes on behind it', async () => {
    await using endpoint = await startLogEndpoint();
    endpoint.start();
    endpoint.print(at(0, 'é'.repeat(500_000)), at(1, 'next'));
    endpoint.end();
    const following = follow(endpoint);
    following.end();
    const [long, next] = texts(await following.done);
    expect(long).toMatch(/^é+ \[line cut off\]$/);
    expect(Buffer.byteLength(long ?? '')).toBeLessThan(66_000);
    expect(next).toBe('next');
  });

  it('gives nothing that carries no timestamp: the kubelet itself speaks, or a tail is left over', async () => {
    await using endpoint = await startLogEndpoint();
    endpoint.start();
    endpoint.preamble.value =
      'tail of a long line\nunable to retrieve container logs for containerd://1\n';
    const following = follow(endpoint);
    endpoint.print(at(0, 'a'));
    await until('a line', () => following.lines.length === 1);
    endpoint.drop();
    endpoint.print(at(1, 'b'));
    endpoint.end();
    following.end();
    expect(texts(await following.done)).toEqual(['a', 'b']);
  });

  it('ends at once when its call is aborted', async () => {
    await using endpoint = await startLogEndpoint();
    endpoint.start();
    const stop = new AbortController();
    const following = follow(endpoint, { signal: stop.signal });
    await until('the follow', () => endpoint.queries.length === 1);
    stop.abort();
    await expect(following.done).rejects.toMatchObject({ code: 'aborted' });
  });

  it('gives each line once, in order and numbered, whatever the endpoint does', async () => {
    const fault = fc.oneof<fc.Arbitrary<Fault>[]>(
      fc.record({ kind: fc.constant('status'), status: fc.constantFrom(429, 500, 502, 503, 404) }),
      fc.record({ kind: fc.constantFrom('cut', 'end'), after: fc.nat(400) }),
      fc.record({ kind: fc.constant('delay'), after: fc.nat(20) }),
    );
    const step = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({
          do: fc.constant('print' as const),
          // Small steps within one second, larger ones over several, and steps back as two threads make them.
          steps: fc.array(fc.constantFrom(-400_000_000, -1, 0, 0, 1, 500_000_000, 2_500_000_000), {
            minLength: 1,
            maxLength: 8,
          }),
          text: fc.constantFrom('', 'x', 'same', 'ü'.repeat(20)),
        }),
      },
      { weight: 2, arbitrary: fc.constant({ do: 'drop' as const }) },
      { weight: 2, arbitrary: fc.constant({ do: 'turn' as const }) },
      { weight: 2, arbitrary: fault.map((value) => ({ do: 'fault' as const, fault: value })) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 25 }),
        fc.constantFrom(1, 7, 65_536),
        fc.nat(5),
        async (steps, bytesPerChunk, after) => {
          await using endpoint = await startLogEndpoint();
          endpoint.bytesPerChunk.value = bytesPerChunk;
          endpoint.start();
          const written: string[] = [];
          let time = start;
          let newest = start;
          const following = follow(endpoint, { after });
          for (const taken of steps) {
            if (taken.do === 'print') {
              for (const move of taken.steps) {
                const next = time + BigInt(move);
                // Two threads are never more than a second apart; a clock that is set back further has a test of its own.
                time = next < newest - second ? newest - second : next;
                if (time > newest) newest = time;
                endpoint.print({ time, text: taken.text });
                written.push(taken.text);
              }
            }
            if (taken.do === 'drop') endpoint.drop();
            if (taken.do === 'fault') endpoint.faults.push(taken.fault);
            if (taken.do === 'turn') await new Promise((resolve) => setTimeout(resolve, 3));
          }
          // From here on a 404 would mean that the pod is gone, and no reader can tell that an answer was cut short cleanly
          // each time it asks.
          const ahead = endpoint.faults.splice(0).filter(({ status }) => status !== 404);
          const [firstEnd] = ahead.filter(({ kind }) => kind === 'end');
          const rest = ahead.filter(({ kind }) => kind !== 'end').slice(0, 2);
          endpoint.faults.push(...(firstEnd ? [firstEnd] : []), ...rest);
          endpoint.end();
          following.end();
          const lines = await following.done;
          expect(lines.map(({ position, text }) => ({ position, text }))).toEqual(
            numbered(written).slice(after),
          );
        },
      ),
      { numRuns: 100, interruptAfterTimeLimit: 60_000 },
    );
  }, 90_000);
});
