import { randomUUID } from 'node:crypto';
import type { Call } from '../contracts/call.ts';
import type { Accepted, IdempotencyKey } from '../contracts/store.ts';
import { CygniError, isCygniError } from '../errors.ts';
import { type Build, type BuildRequest, isTerminalBuildState } from '../model/build.ts';
import type { LogLine } from '../model/log.ts';
import type { Page, PageRequest } from '../model/page.ts';
import type { PlatformContext } from './context.ts';
import { readLogArtifact } from './log-artifact.ts';

const logPage = 500;
/** How often the log of a build that runs in another process is looked at. */
const followIntervalMs = 500;

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
  /** The log after sequence `after`, and on as it grows, until the build has ended or the call aborts. @throws `not_found` */
  followLog(tenantId: string, id: string, after: number, call: Call): AsyncGenerator<LogLine>;
}

export function createBuilds(context: PlatformContext): Builds {
  const { store, artifacts, budget, clock, settings, bell, metrics } = context;

  async function get(tenantId: string, id: string, call: Call): Promise<Build> {
    const build = await store.getBuild(tenantId, id, call);
    if (!build) throw new CygniError('not_found', `no build ${id}`);
    return build;
  }

  /** The lines after sequence `after` of a log that has left the store. */
  async function* readArchive(
    tenantId: string,
    id: string,
    after: number,
    call: Call,
  ): AsyncGenerator<LogLine> {
    const key = await store.getLogArchive(tenantId, id, call);
    if (key !== null) yield* readLogArtifact(artifacts, key, after, call);
  }

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
          },
          { amount, currency: budget.currency, limit },
          idempotency,
          call,
        );
        bell.ring('outbox');
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
      for await (const line of readArchive(tenantId, id, page.after, call)) {
        archived.push(line);
        if (archived.length >= page.limit) break;
      }
      return archived;
    },
    async *followLog(tenantId, id, after, call) {
      let last = after;
      for (;;) {
        // The state is read before the lines: a build that had ended has all its lines by then.
        const { state } = await get(tenantId, id, call);
        const rung = bell.wait(`log:${id}`, followIntervalMs, call.signal);
        const page = { after: last, limit: logPage };
        const lines = await store.readLog(tenantId, id, page, call);
        for (const line of lines) {
          last = line.sequence;
          yield line;
        }
        if (lines.length === logPage) continue;
        if (call.signal.aborted) return;
        if (isTerminalBuildState(state)) {
          // It may have been archived since, or before.
          yield* readArchive(tenantId, id, last, call);
          return;
        }
        await rung;
      }
    },
  };
}
