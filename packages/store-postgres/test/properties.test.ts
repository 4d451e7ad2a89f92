import fc from 'fast-check';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { createLane, type Lane } from './histories/lane.ts';
import { playAtOnce, playInOrder } from './histories/play.ts';
import { crowdedHistory, history } from './histories/steps.ts';
import { postgresUrl } from './support/test-database.ts';

/** How many in all; one half happens step by step, the other with many steps at a time. */
const histories = Number(process.env.CYGNI_HISTORIES ?? 200);
const seed = process.env.CYGNI_SEED ? Number(process.env.CYGNI_SEED) : undefined;
const lanes = 2;
const timeout = 60_000 + histories * 200;

describe.skipIf(postgresUrl === null)(`${histories} histories`, () => {
  const open: Lane[] = [];
  beforeAll(async () => {
    for (let lane = 0; lane < lanes; lane += 1) open.push(await createLane());
  });
  afterAll(async () => {
    for (const lane of open) await lane[Symbol.asyncDispose]();
  });

  async function forAll<T>(
    arbitrary: fc.Arbitrary<T>,
    play: (lane: Lane, steps: T) => Promise<void>,
  ): Promise<void> {
    const results = await Promise.allSettled(
      open.map((lane, index) =>
        fc.assert(
          fc.asyncProperty(arbitrary, (steps) => lane.host(() => play(lane, steps))),
          {
            numRuns: Math.ceil(histories / 2 / lanes),
            ...(seed !== undefined && { seed: seed + index }),
            endOnFailure: process.env.CYGNI_SHRINK === 'no',
          },
        ),
      ),
    );
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  it(
    'step by step, give what the memory store gives, and break no rule',
    () => forAll(history, playInOrder),
    timeout,
  );
  it('with many steps at a time, break no rule', () => forAll(crowdedHistory, playAtOnce), timeout);
});
