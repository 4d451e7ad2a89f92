import type { Call } from '../contracts/call.ts';
import type { BuildState } from '../model/build.ts';
import type { LogLine } from '../model/log.ts';
import type { PlatformContext } from './context.ts';
import { readLogArtifact } from './log-artifact.ts';
import { createLogTail, type LogBatch, type LogTail, type LogTailSource } from './log-tail.ts';

const pageLines = 200;
const keptCharacters = 512 * 1024;
/** How often the log of a build that runs in another process is looked at. */
const followIntervalMs = 100;
const readsPerState = 5;

/** News of a log: more of its lines, or the state that the build has ended in, which comes last. */
export interface LogUpdate {
  readonly lines: LogBatch;
  readonly ended: BuildState | null;
}

export interface LogHub {
  /**
   * The log after sequence `after`, and on as it grows, until the build has ended or the call aborts. However many
   * follow one build, its end is read once for all of them; who is behind it reads by himself until he is there.
   * @throws `not_found`
   */
  follow(tenantId: string, id: string, after: number, call: Call): AsyncGenerator<LogUpdate>;
}

interface SharedTail {
  readonly tail: LogTail;
  /** Ends its reads. */
  readonly stop: AbortController;
  followers: number;
}

/** `stateOf` @throws `not_found` */
export function createLogHub(
  context: PlatformContext,
  stateOf: (tenantId: string, id: string, call: Call) => Promise<BuildState>,
): LogHub {
  const { store, artifacts, bell, log } = context;
  const tails = new Map<string, SharedTail>();

  function openTail(source: LogTailSource, after: number): SharedTail {
    const stop = new AbortController();
    const options = { after, keptCharacters, readsPerState };
    const tail = createLogTail(source, options, { signal: stop.signal, log });
    return { tail, stop, followers: 0 };
  }

  async function* readArchive(key: string, after: number, call: Call): AsyncGenerator<LogUpdate> {
    let lines: LogLine[] = [];
    for await (const line of readLogArtifact(artifacts, key, after, call)) {
      lines.push(line);
      if (lines.length < pageLines) continue;
      yield { lines, ended: null };
      lines = [];
    }
    if (lines.length > 0) yield { lines, ended: null };
  }

  return {
    async *follow(tenantId, id, after, call) {
      const source: LogTailSource = {
        read: (from, asked) =>
          store.readLog(tenantId, id, { after: from, limit: pageLines }, asked),
        state: (asked) => stateOf(tenantId, id, asked),
        archive: (asked) => store.getLogArchive(tenantId, id, asked),
        changed: (signal) => bell.wait(`log:${id}`, followIntervalMs, signal),
      };
      const key = `${tenantId}/${id}`;
      const shared = tails.get(key) ?? openTail(source, after);
      tails.set(key, shared);
      shared.followers += 1;
      const { tail } = shared;
      let position = after;
      try {
        while (!call.signal.aborted) {
          const isBehind = position < tail.floor;
          const lines = isBehind ? await source.read(position, call) : tail.next(position);
          const newest = lines.at(-1);
          if (newest) {
            yield { lines, ended: null };
            position = newest.sequence;
          } else if (isBehind) {
            const archive = await source.archive(call);
            if (archive === null) {
              tail.rewind(position);
            } else {
              yield* readArchive(archive, position, call);
              yield { lines: [], ended: await source.state(call) };
              return;
            }
          } else if (tail.end) {
            const { archive, state } = tail.end;
            if (archive !== null) yield* readArchive(archive, position, call);
            yield { lines: [], ended: state };
            return;
          } else {
            await tail.advance(call.signal);
          }
        }
      } finally {
        shared.followers -= 1;
        if (shared.followers === 0) {
          tails.delete(key);
          shared.stop.abort();
        }
      }
    },
  };
}
