import type { RunName } from '../contracts/build-pipeline.ts';
import type { Call } from '../contracts/call.ts';
import type { PlatformContext } from './context.ts';

/** Asked of the store at once. */
const batch = 500;

/**
 * Ends what a builder still runs for builds that are over, now and then, until the call is aborted: their workers died
 * and nobody took over.
 *
 * A run is listed first and asked about then. It is begun under a claim only, so the store knew of it before the builder
 * did, and what is orphaned stays so: no claim that comes in between can make a run that is about to be ended its own.
 * Each gets one round of grace, in which a worker that has just ended its build removes the run itself.
 */
export async function endOrphansRegularly(context: PlatformContext, call: Call): Promise<void> {
  const { pipeline, clock, settings } = context;
  if (!pipeline.supports.adopt || !pipeline.listRuns || !pipeline.endRun) return;
  let suspects: ReadonlySet<string> = new Set();
  while (!call.signal.aborted) {
    try {
      suspects = await endOrphans(context, suspects, call);
    } catch (err) {
      if (call.signal.aborted) return;
      call.log.warn({ err }, 'it is not known whether builds that are over still run');
    }
    await clock.sleep(settings.sweepIntervalSeconds * 1000, call.signal);
  }
}

/** Ends the orphans among the suspects. Returns the others, which are suspects from now on. */
async function endOrphans(
  { pipeline, store }: PlatformContext,
  suspects: ReadonlySet<string>,
  call: Call,
): Promise<ReadonlySet<string>> {
  const runs = (await pipeline.listRuns?.(call)) ?? [];
  const found = new Set<string>();
  for (let start = 0; start < runs.length; start += batch) {
    for (const run of await store.findOrphanedRuns(runs.slice(start, start + batch), call)) {
      const { buildId, attempt } = run;
      const name = nameOf(run);
      found.add(name);
      if (!suspects.has(name)) continue;
      try {
        await pipeline.endRun?.(run, call);
        call.log.info({ buildId, attempt }, 'ended what ran on for a build that is over');
      } catch (err) {
        if (call.signal.aborted) return found;
        call.log.warn({ err, buildId, attempt }, 'what runs on for a build that is over stays');
      }
    }
  }
  return found;
}

function nameOf({ buildId, attempt }: RunName): string {
  return `${buildId}/${attempt}`;
}
