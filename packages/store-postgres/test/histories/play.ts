import { createMemoryStore } from '@cygni/core';
import { expect } from 'vitest';
import { actionOf, addSources, createWorld, refusal } from './actions.ts';
import { bringToAnEnd } from './bring-to-an-end.ts';
import { everythingIn } from './everything.ts';
import { mustBeDeaf, nameOf, staleFences } from './fences.ts';
import type { Lane } from './lane.ts';
import { outcomeOf } from './outcome.ts';
import type { Step } from './steps.ts';

/** Each step in PostgreSQL and in memory: both answer the same, and no rule is broken after any of them. */
export async function playInOrder(lane: Lane, steps: readonly Step[]): Promise<void> {
  const world = createWorld();
  let ahead = 0;
  const memory = createMemoryStore({ now: () => new Date(Date.now() + ahead) });
  await addSources(world, memory);
  await addSources(world, lane.store);
  for (const step of steps) {
    if (step.type === 'elapse') {
      ahead += step.seconds * 1_000;
      await lane.elapse(step.seconds);
      continue;
    }
    // In which order the sweep sends many messages is each store's own choice: so all of them are taken.
    const action = actionOf(step.type === 'takeOutbox' ? { ...step, limit: 1_000 } : step, world);
    if (!action) continue;
    ahead += 5; // Two acceptances are never of the same age.
    const expected = await outcomeOf(action.run(memory));
    const outcome = await outcomeOf(action.run(lane.store));
    expect(outcome, step.type).toEqual(expected);
    if ('result' in outcome) action.learn?.(outcome.result);
    expect(await lane.brokenRules(), step.type).toEqual([]);
  }
  expect(await everythingIn(lane.store, world)).toEqual(await everythingIn(memory, world));
  await mustBeDeaf(lane.store, world);
  await bringToAnEnd(lane, world);
}

/** The steps of a group at the same time, the groups one after another. */
export async function playAtOnce(lane: Lane, groups: readonly (readonly Step[])[]): Promise<void> {
  const world = createWorld();
  await addSources(world, lane.store);
  for (const group of groups) {
    for (const step of group) if (step.type === 'elapse') await lane.elapse(step.seconds);
    const stale = new Set(staleFences(world).map(({ fence }) => nameOf(fence)));
    const actions = group.flatMap((step) => actionOf(givenOnly(step), world) ?? []);
    const outcomes = await Promise.all(actions.map((each) => outcomeOf(each.run(lane.store))));
    const claimed: string[] = [];
    for (const [index, outcome] of outcomes.entries()) {
      if ('refused' in outcome) {
        expect([...mayHappen]).toContain(outcome.refused);
        continue;
      }
      const { fence, claims, learn } = actions[index] ?? {};
      if (fence && stale.has(nameOf(fence))) expect(outcome.result, 'a stale write').toBeFalsy();
      if (claims !== undefined && outcome.result !== null) claimed.push(claims);
      learn?.(outcome.result);
    }
    expect(new Set(claimed).size, 'a claim that two have').toBe(claimed.length);
    expect(await lane.brokenRules()).toEqual([]);
  }
  await mustBeDeaf(lane.store, world);
  await bringToAnEnd(lane, world);
}

/** A fence that nobody was given yet may be given to somebody in the same moment. */
function givenOnly(step: Step): Step {
  return 'off' in step ? { ...step, off: Math.min(step.off, 0) } : step;
}

const mayHappen: ReadonlySet<unknown> = new Set([
  'budget_exceeded',
  'idempotency_mismatch',
  'not_found',
  'conflict',
  refusal.message,
]);
