import { AsyncLocalStorage } from 'node:async_hooks';
import type { ArtifactStore, BuildPipeline, Fence, Registry, Store } from '@cygni/core';
import type { Pool } from '@cygni/store-postgres';
import { z } from 'zod';
import type { CrashPoint } from '../crash-points.ts';
import { changingQueries } from './changing-queries.ts';
import type { Faults } from './faults.ts';

interface Steps {
  readonly before?: CrashPoint;
  readonly after?: CrashPoint;
  /** Whether the answer says that something has happened. Default: any answer does. */
  readonly happened?: (answer: unknown) => boolean;
  /** Its answer may get lost. */
  readonly answer?: boolean;
}

const claimSchema = z.object({ id: z.string(), attempt: z.int() });
const gave = (answer: unknown) => answer !== null && answer !== false && answer !== 0;

const storeSteps: Partial<Record<keyof Store, Steps>> = {
  addSource: { before: 'source: kept, not recorded', after: 'source: recorded, not answered' },
  acceptBuild: {
    before: 'accept: asked, not stored',
    after: 'accept: stored, not answered',
    answer: true,
  },
  cancelBuild: {
    before: 'cancel: asked, not stored',
    after: 'cancel: stored, not answered',
    answer: true,
  },
  setBudget: { before: 'budget: asked, not stored', after: 'budget: stored, not answered' },
  takeOutbox: {
    before: 'outbox: looked for, not taken',
    after: 'outbox: committed, not counted',
    happened: gave,
    answer: true,
  },
  claimBuild: {
    before: 'claim: message taken, not claimed',
    after: 'claim: claimed, not prepared',
    happened: gave,
    answer: true,
  },
  heartbeatBuild: {
    before: 'heartbeat: due, not sent',
    after: 'heartbeat: sent, not noted',
    answer: true,
  },
  appendLog: {
    before: 'log: printed, not stored',
    after: 'log: stored, not counted',
    answer: true,
  },
  finishBuild: {
    before: 'finish: decided, not stored',
    after: 'finish: stored, not acknowledged',
    answer: true,
  },
  releaseBuild: {
    before: 'release: decided, not stored',
    after: 'release: stored, not acknowledged',
    answer: true,
  },
  sweep: { before: 'sweep: due, not begun', after: 'sweep: done, not counted', answer: true },
};

/** The adapter, which may end or stop its process before and after the named calls. */
export function failing<Adapter extends object>(
  adapter: Adapter,
  steps: Partial<Record<keyof Adapter, Steps>>,
  faults: Faults,
): Adapter {
  const byName = new Map<PropertyKey, Steps | undefined>(Object.entries(steps));
  return new Proxy(adapter, {
    get(target, property, receiver) {
      const value: unknown = Reflect.get(target, property, receiver);
      const step = byName.get(property);
      if (typeof value !== 'function' || !step) return value;
      return async (...parameters: unknown[]): Promise<unknown> => {
        if (step.before) faults.reach(step.before, claimOf(parameters[0]));
        const answer: unknown = await Reflect.apply(value, target, parameters);
        if (step.happened && !step.happened(answer)) return answer;
        if (step.after) faults.reach(step.after);
        if (step.answer) faults.loseAnswer(String(property));
        return answer;
      };
    },
  });
}

/** The first parameter of every fenced write names the claim. */
function claimOf(parameter: unknown): Fence | undefined {
  const parsed = claimSchema.safeParse(parameter);
  return parsed.success ? parsed.data : undefined;
}

/** How far a method of several statements has come. */
interface Progress {
  readonly method: 'sweep' | 'takeOutbox';
  /** Since it began; for the outbox, since the messages were delivered. */
  statements: number;
  delivered: boolean;
}

const within = new AsyncLocalStorage<Progress>();

export function failingStore(store: Store, faults: Faults): Store {
  const followed: Store = {
    ...store,
    sweep: (options, call) =>
      within.run({ method: 'sweep', statements: 0, delivered: false }, () =>
        store.sweep(options, call),
      ),
    takeOutbox(limit, deliver, call) {
      const progress: Progress = { method: 'takeOutbox', statements: 0, delivered: false };
      return within.run(progress, () =>
        store.takeOutbox(
          limit,
          async (messages) => {
            await deliver(messages);
            progress.statements = 0;
            progress.delivered = true;
          },
          call,
        ),
      );
    },
  };
  return failing(followed, storeSteps, faults);
}

/** The pool, which may end or stop its process between the statements of a sweep, and before the relay's commit. */
export function failingPool(pool: Pool, faults: Faults): Pool {
  return changingQueries(pool, (query) => {
    const progress = within.getStore();
    if (!progress) return query;
    progress.statements += 1;
    const isSecond = progress.statements > 1;
    if (progress.method === 'sweep' && isSecond) {
      faults.reach('sweep: between two of its statements');
    }
    // After the delivery comes the removal, and then the commit.
    if (progress.delivered && isSecond) faults.reach('outbox: removed, not committed');
    return query;
  });
}

export function failingPipeline(pipeline: BuildPipeline, faults: Faults): BuildPipeline {
  return failing(
    pipeline,
    { start: { before: 'run: prepared, not started', after: 'run: started, not watched' } },
    faults,
  );
}

export function failingRegistry(registry: Registry, faults: Faults): Registry {
  return failing(
    registry,
    {
      resolve: {
        before: 'confirm: reported, not looked up',
        after: 'confirm: confirmed, not decided',
      },
    },
    faults,
  );
}

export function failingArtifacts(artifacts: ArtifactStore, faults: Faults): ArtifactStore {
  return failing(
    artifacts,
    {
      put: { before: 'source: received, not kept' },
      get: { after: 'run: source opened, not read' },
    },
    faults,
  );
}
