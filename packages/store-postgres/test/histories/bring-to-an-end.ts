import type { Message } from '@cygni/core';
import { expect } from 'vitest';
import { call } from '../support/calls.ts';
import { dispatchOptions, leaseSeconds, sweepOptions, type World } from './actions.ts';
import type { Lane } from './lane.ts';

const unfinished = `
  SELECT 'build' AS kind, id FROM cygni.builds WHERE state IN ('QUEUED', 'RUNNING')
  UNION ALL
  SELECT 'deployment', id FROM cygni.deployments WHERE state IN ('QUEUED', 'RUNNING')`;

/**
 * Nothing is lost: when every worker is gone, the sweep finds all that has not ended, and messages alone lead all of
 * it to its end. Then no money is held any more.
 */
export async function bringToAnEnd(lane: Lane, world: World): Promise<void> {
  const { store, database } = lane;
  let rounds = 0;
  for (;;) {
    await lane.elapse(200);
    await store.sweep(sweepOptions, call);
    await store.dispatchBuilds({ ...dispatchOptions, maximumPerTenant: 1_000 }, call);
    const messages = await takeAll(lane, world);
    const told = new Set(messages.map(({ id }) => id));
    const left = await database.query(unfinished);
    const lost = left.filter(({ id }) => !told.has(String(id)));
    expect(lost, 'work that nobody would hear of').toEqual([]);
    if (left.length === 0) break;
    rounds += 1;
    expect(rounds, 'rounds until all has ended').toBeLessThan(20);
    for (const message of messages) await work(lane, message);
  }
  expect(await lane.brokenRules()).toEqual([]);
  const [rest] = await database.query(`
    SELECT (SELECT count(*) FROM cygni.accounts WHERE reserved <> 0) AS reserved,
           (SELECT count(*) FROM cygni.holds WHERE state = 'open') AS held,
           (SELECT count(*) FROM cygni.outbox WHERE ready OR kind = 'deployment') AS waiting`);
  expect(rest).toEqual({ reserved: '0', held: '0', waiting: '0' });
  const sent = await database.query('DELETE FROM watch.messages RETURNING id');
  expect(sent, 'messages, each delivered once').toHaveLength(world.delivered);
}

async function takeAll({ store }: Lane, world: World): Promise<readonly Message[]> {
  const messages: Message[] = [];
  await store.takeOutbox(
    1_000,
    async (taken) => {
      messages.push(...taken);
    },
    call,
  );
  world.delivered += messages.length;
  return messages;
}

async function work({ store }: Lane, { kind, id }: Message): Promise<void> {
  if (kind === 'build') {
    const claim = await store.claimBuild(id, leaseSeconds, call);
    if (!claim) return;
    const end = { state: 'SUCCEEDED', image: null, failure: null, charge: 7 } as const;
    const fence = { id, attempt: claim.build.attempt };
    expect(await store.finishBuild(fence, end, call)).toBe(true);
  } else {
    const claim = await store.claimDeployment(id, leaseSeconds, call);
    if (!claim) return;
    const end = { state: 'SUCCEEDED', evidence: null, url: null, charge: 7 } as const;
    const fence = { id, attempt: claim.deployment.attempt };
    expect(await store.finishDeployment(fence, end, call)).toBe(true);
  }
}
