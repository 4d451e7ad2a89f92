import type { Call } from '../contracts/call.ts';
import type { PlatformContext } from './context.ts';
import { writeLogArtifact } from './log-artifact.ts';

/** The part of a lease in which a log is written: what is over late must not write under a key that was given up. */
const partOfLease = 0.8;

/** Moves the logs of builds that have ended from the store to the artifacts until the call is aborted. */
export async function archiveLogs(context: PlatformContext, call: Call): Promise<void> {
  const { settings, bell } = context;
  while (!call.signal.aborted) {
    try {
      if (await archiveOne(context, call)) continue;
    } catch (err) {
      if (call.signal.aborted) return;
      call.log.warn({ err }, 'a log could not be archived; it stays in the store');
    }
    await bell.wait('ended', settings.sweepIntervalSeconds * 1000, call.signal);
  }
}

function archiveOne(
  { store, artifacts, settings: { logArchiveSeconds } }: PlatformContext,
  call: Call,
): Promise<boolean> {
  const late = AbortSignal.timeout(logArchiveSeconds * 1000 * partOfLease);
  const bounded: Call = { ...call, signal: AbortSignal.any([call.signal, late]) };
  return store.archiveLog(
    { leaseSeconds: logArchiveSeconds },
    (archive) => writeLogArtifact(artifacts, archive, bounded),
    bounded,
  );
}
