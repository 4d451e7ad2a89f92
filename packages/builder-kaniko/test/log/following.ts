import type { Call, PipelineLogLine, StoredLog } from '@cygni/core';
import { followContainerLog } from '../../src/log/follow-container-log.ts';
import type { LogEndpoint } from './fake-log-endpoint.ts';

const silent = () => {};

export function testCall(signal: AbortSignal = AbortSignal.timeout(30_000)): Call {
  return { signal, log: { debug: silent, info: silent, warn: silent, error: silent } };
}

/** What a watch tells of a container. */
export function createContainerWatch({ started = true } = {}) {
  let ended = false;
  let ending = false;
  const waiting = new Set<() => void>();
  const change = () => {
    for (const resolve of waiting) resolve();
  };
  return {
    isStarted: () => started || ended,
    isEnded: () => ended,
    isEnding: () => ending,
    changed: (signal: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        waiting.add(resolve);
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      }),
    /** The watch tells of something else. */
    change,
    start() {
      started = true;
      change();
    },
    end() {
      ended = true;
      change();
    },
    /** It has nothing left to do. */
    expectEnd() {
      ending = true;
      change();
    },
  };
}

/** Follows an endpoint's log into an array, in the background. */
export function follow(
  endpoint: LogEndpoint,
  {
    after = 0,
    stored = null,
    started,
    signal,
  }: {
    after?: number;
    stored?: StoredLog | null;
    started?: boolean;
    signal?: AbortSignal;
  } = {},
) {
  const watched = createContainerWatch({ started });
  const lines: PipelineLogLine[] = [];
  const source = {
    connection: endpoint.connection,
    namespace: 'builds',
    pod: 'build-1',
    container: 'build',
  };
  async function collect(): Promise<PipelineLogLine[]> {
    for await (const line of followContainerLog(
      source,
      { ...watched, after, stored },
      testCall(signal),
    )) {
      lines.push(line);
    }
    return lines;
  }
  const done = collect();
  done.catch(() => {});
  const { change, start, end, expectEnd } = watched;
  return { lines, done, change, start, end, expectEnd };
}

/** Waits for what other parts of this process or machine bring about. */
export async function until(what: string, holds: () => boolean, milliseconds = 10_000) {
  const deadline = performance.now() + milliseconds;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
