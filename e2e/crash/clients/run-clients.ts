import { setTimeout as sleep } from 'node:timers/promises';
import { poorCap, startingCap } from '../child/budget.ts';
import type { Random } from '../random.ts';
import type { Answer, ApiClient, BuildAnswer } from './api-client.ts';
import type { PromiseBook } from './promise-book.ts';

const clients = 24;
const tenants = ['ash', 'birch', 'cedar', 'elm', 'fir', 'poor'] as const;
const chances = {
  newSource: 0.03,
  cancel: 0.08,
  sameKeyAtOnce: 0.05,
  sameKeyLater: 0.05,
  raise: 0.2,
};
/** What a tenant that was refused raises its cap to, now and then; the poor one cannot. Caps only ever grow, and so must hold at any time. */
const raisedCap = 2 * startingCap + 1;

export interface Load {
  /** Whether another build may be asked for now. */
  mayGoOn(): boolean;
  /** No new builds from then on; what was asked for is asked for until it is answered. */
  readonly ended: AbortSignal;
  /** Gives up. */
  readonly signal: AbortSignal;
}

/** Asks for builds, and insists on an answer each time. Resolves when the load has ended and everything was answered. */
export async function runClients(
  api: ApiClient,
  book: PromiseBook,
  random: Random,
  load: Load,
): Promise<void> {
  const sources = new Map<string, string>();
  let lastKey = 0;
  let poorIsPoor = false;

  const pause = (least: number, most: number) =>
    sleep(random.between(least, most), undefined, { signal: load.signal }).catch(() => {});

  async function sourceOf(tenantId: string): Promise<string | null> {
    const known = sources.get(tenantId);
    if (known !== undefined && !random.chance(chances.newSource)) return known;
    const uploaded = await api.upload(tenantId);
    if (uploaded.outcome === 'refused') book.complain(`an upload was answered ${uploaded.said}`);
    if (uploaded.outcome !== 'ok') return known ?? null;
    sources.set(tenantId, uploaded.body.id);
    return uploaded.body.id;
  }

  /** Until the answer says what happened. Asked twice at once, now and then. */
  async function insist(
    tenantId: string,
    sourceId: string,
    key: string,
  ): Promise<Exclude<Answer<BuildAnswer>, { outcome: 'uncertain' }> | null> {
    let first = true;
    while (!load.signal.aborted) {
      const copies = random.chance(chances.sameKeyAtOnce) ? 2 : 1;
      const answers = await Promise.all(
        Array.from({ length: copies }, () => api.accept(tenantId, sourceId, key)),
      );
      for (const answer of answers) {
        if (answer.outcome === 'ok') book.acknowledge(key, answer.body.id);
      }
      const said = answers.find(({ outcome }) => outcome === 'ok') ?? answers[0];
      if (said?.outcome === 'refused') {
        if (said.status === 402) book.refuse(key, { first: first && copies === 1 });
        else book.complain(`key ${key} was answered ${said.status}: ${said.said}`);
      }
      if (said && said.outcome !== 'uncertain') return said;
      first = false;
      await pause(50, 300);
    }
    return null;
  }

  async function afterRefusal(tenantId: string): Promise<void> {
    if (tenantId !== 'poor' && random.chance(chances.raise))
      await api.setBudget(tenantId, raisedCap);
    await pause(100, 400);
  }

  async function afterAcceptance(tenantId: string, sourceId: string, key: string, id: string) {
    if (random.chance(chances.sameKeyLater)) await insist(tenantId, sourceId, key);
    if (!random.chance(chances.cancel)) return;
    await pause(0, 200);
    const cancelled = await api.cancel(tenantId, id);
    if (cancelled.outcome === 'refused') book.complain(`a cancel was answered ${cancelled.said}`);
    if (cancelled.outcome === 'ok' && cancelled.body.state === 'CANCELLED') book.cancel(id);
  }

  async function runOne(): Promise<void> {
    while (!load.ended.aborted && !load.signal.aborted) {
      if (!load.mayGoOn()) {
        await pause(50, 150);
        continue;
      }
      const tenantId = random.pick(tenants);
      if (tenantId === 'poor' && !poorIsPoor) {
        poorIsPoor = (await api.setBudget(tenantId, poorCap)).outcome === 'ok';
        continue;
      }
      const sourceId = await sourceOf(tenantId);
      if (sourceId === null) {
        await pause(100, 300);
        continue;
      }
      lastKey += 1;
      const key = `key-${lastKey}`;
      const answer = await insist(tenantId, sourceId, key);
      if (answer?.outcome === 'ok') await afterAcceptance(tenantId, sourceId, key, answer.body.id);
      if (answer?.outcome === 'refused') await afterRefusal(tenantId);
    }
  }

  await Promise.all(Array.from({ length: clients }, runOne));
}
