import type { BuildJob, Call, StoredLog } from '@cygni/core';
import type { ClusterConnection } from '../cluster/connection.ts';
import { buildContainer, proxyContainer } from '../job/manifest.ts';
import { attemptTag } from '../job/names.ts';
import { followContainerLog } from '../log/follow-container-log.ts';
import type { KanikoLogReader } from '../log/read-kaniko-log.ts';
import { hasStarted, terminationOf } from '../outcome/pod-evidence.ts';
import type { Observer } from './observe.ts';
import { pushedDigest } from './read-proxy-line.ts';
import type { LogRedactor } from './redact.ts';
import type { OpenLog, RunLog } from './run-log.ts';
import type { Change } from './signal-change.ts';

export interface LogFollowing {
  readonly connection: ClusterConnection;
  readonly namespace: string;
  readonly observer: Observer;
  readonly change: Change;
  /** Of kaniko's log. */
  readonly storedLog: StoredLog | null;
  /** kaniko has pushed, and the registry says so too. */
  isPushed(): boolean;
}

/** Resolves to the name of the run's pod. */
async function podOf({ observer, change }: LogFollowing, signal: AbortSignal): Promise<string> {
  for (;;) {
    const seen = change.count;
    const name = observer.now().pod?.metadata?.name;
    if (name !== undefined) return name;
    await change.since(seen, signal);
  }
}

/** The lines of one container of the run's pod, from its first on. */
async function* containerLines(
  following: LogFollowing,
  container: string,
  after: number,
  call: Call,
) {
  const { connection, namespace, observer, change, storedLog } = following;
  const pod = await podOf(following, call.signal);
  yield* followContainerLog(
    { connection, namespace, pod, container },
    {
      after,
      stored: container === buildContainer ? storedLog : null,
      isStarted() {
        const { pod: seen, podGone } = observer.now();
        return podGone || hasStarted(seen, container);
      },
      isEnded() {
        const { pod: seen, podGone } = observer.now();
        return podGone || terminationOf(seen, container) !== undefined;
      },
      isEnding: following.isPushed,
      changed: (signal) => change.since(change.count, signal),
    },
    call,
  );
}

/** Reads kaniko's log into the run's, and into `reader`. `onPushed`: kaniko says that it has pushed. */
export async function readKaniko(
  following: LogFollowing,
  to: {
    readonly reader: KanikoLogReader;
    readonly redactor: LogRedactor;
    readonly runLog: RunLog;
    readonly onPushed: (digest: string) => void;
  },
  call: Call,
): Promise<void> {
  const redact = to.redactor.openStream();
  for await (const line of containerLines(following, buildContainer, 0, call)) {
    // Before anything is read from it: what kaniko says of a failure stands in the build's status too.
    const text = redact(line.text);
    to.reader.read(text);
    const { pushed } = to.reader.facts();
    if (pushed) to.onPushed(pushed.digest);
    await to.runLog.write({ ...line, text }, call);
  }
}

/** Reads the proxy's log. `onPushed`: the registry has accepted the manifest under the attempt's tag. */
export async function readProxy(
  following: LogFollowing,
  job: BuildJob,
  onPushed: (digest: string) => void,
  call: Call,
): Promise<void> {
  const expected = {
    repository: job.destination.repository,
    tag: attemptTag(job.buildId, job.attempt),
  };
  for await (const { text } of containerLines(following, proxyContainer, 0, call)) {
    const digest = pushedDigest(text, expected);
    if (digest !== null) onPushed(digest);
    else if (text.includes('"event":"error"')) call.log.warn({ said: text }, 'registry proxy');
  }
}

export function openLog(following: LogFollowing, redactor: LogRedactor): OpenLog {
  return async function* (after, call) {
    const redact = redactor.openStream();
    for await (const line of containerLines(following, buildContainer, after, call)) {
      yield { ...line, text: redact(line.text) };
    }
  };
}
