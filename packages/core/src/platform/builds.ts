import { randomUUID } from 'node:crypto';
import { trace } from '@opentelemetry/api';
import type { Call } from '../contracts/call.ts';
import type { Accepted, IdempotencyKey } from '../contracts/store.ts';
import { CygniError, isCygniError } from '../errors.ts';
import { type Build, type BuildRequest, isTerminalBuildState } from '../model/build.ts';
import type { LogLine } from '../model/log.ts';
import type { Page, PageRequest } from '../model/page.ts';
import { blindKey } from './blind-key.ts';
import type { PlatformContext } from './context.ts';
import { readLogArtifact } from './log-artifact.ts';
import { createLogHub, type LogUpdate } from './log-hub.ts';
import { currentTraceparent } from './spans.ts';

export interface Builds {
  /** @throws `budget_exceeded`, `not_found` for the source, `idempotency_mismatch` */
  accept(
    tenantId: string,
    request: BuildRequest,
    idempotency: IdempotencyKey | null,
    call: Call,
  ): Promise<Accepted<Build>>;
  /** @throws `not_found` */
  get(tenantId: string, id: string, call: Call): Promise<Build>;
  list(tenantId: string, page: PageRequest, call: Call): Promise<Page<Build>>;
  /** @throws `not_found` */
  cancel(tenantId: string, id: string, call: Call): Promise<Build>;
  /** @throws `not_found` */
  readLog(
    tenantId: string,
    id: string,
    page: { readonly after: number; readonly limit: number },
    call: Call,
  ): Promise<readonly LogLine[]>;
  /**
   * The log after sequence `after`, and on as it grows, until the build has ended or the call aborts. The build's end is
   * the last update; without it, the call was aborted. @throws `not_found`
   */
  followLog(tenantId: string, id: string, after: number, call: Call): AsyncGenerator<LogUpdate>;
}

export function createBuilds(context: PlatformContext): Builds {
  const { store, artifacts, budget, clock, settings, bell, metrics } = context;

  async function get(tenantId: string, id: string, call: Call): Promise<Build> {
    const build = await store.getBuild(tenantId, id, call);
    if (!build) throw new CygniError('not_found', `no build ${id}`);
    return build;
  }

  const hub = createLogHub(context, async (tenantId, id, call) => {
    const { state } = await get(tenantId, id, call);
    return state;
  });

  return {
    get,
    async accept(tenantId, request, idempotency, call) {
      const { maximumAttempts, maximumImageBytes } = settings;
      const { machine, timeoutSeconds } = request;
      const amount = budget.quote({
        kind: 'build',
        machine,
        timeoutSeconds,
        maximumAttempts,
        maximumImageBytes,
      });
      const limit = budget.limit(tenantId, clock.now());
      try {
        const accepted = await store.acceptBuild(
          {
            ...request,
            id: randomUUID(),
            tenantId,
            target: request.target ?? null,
            maximumAttempts,
            traceparent: currentTraceparent() ?? null,
          },
          { amount, currency: budget.currency, limit },
          blindKey(idempotency),
          call,
        );
        bell.ring('outbox');
        // So that whoever has the build finds the request, and the other way round.
        trace.getActiveSpan()?.setAttribute('cicd.pipeline.run.id', accepted.resource.id);
        return accepted;
      } catch (error) {
        if (isCygniError(error, 'budget_exceeded')) metrics.budgetRejections.inc();
        throw error;
      }
    },
    list: (tenantId, page, call) => store.listBuilds(tenantId, page, call),
    async cancel(tenantId, id, call) {
      const build = await store.cancelBuild(tenantId, id, call);
      if (!build) throw new CygniError('not_found', `no build ${id}`);
      bell.ring(`log:${id}`);
      bell.ring('outbox');
      return build;
    },
    async readLog(tenantId, id, page, call) {
      const { state } = await get(tenantId, id, call);
      const lines = await store.readLog(tenantId, id, page, call);
      if (lines.length > 0 || !isTerminalBuildState(state)) return lines;
      const archived: LogLine[] = [];
      const key = await store.getLogArchive(tenantId, id, call);
      if (key === null) return archived;
      for await (const line of readLogArtifact(artifacts, key, page.after, call)) {
        archived.push(line);
        if (archived.length >= page.limit) break;
      }
      return archived;
    },
    followLog: hub.follow,
  };
}
