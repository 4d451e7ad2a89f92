import { setTimeout as delay } from 'node:timers/promises';
import { abortedError, type Call, type PipelineLogLine } from '@cygni/core';
import { type ContainerLog, type LogBody, openContainerLog } from './container-log.ts';
import { createLastReads } from './last-reads.ts';
import { createLogCursor } from './log-cursor.ts';
import { readBody } from './read-body.ts';
import { createLineSplitter, type RawLine } from './split-lines.ts';
import { formatTimestamp, parseTimestamp, type Timestamp } from './timestamp.ts';

export interface FollowOptions {
  /** Lines up to this position are not given again. */
  readonly after: number;
  /** The watch saw the container terminated, or its pod gone. */
  isEnded(): boolean;
  /** Resolves at the next change that the watch sees. */
  changed(signal: AbortSignal): Promise<void>;
}

/** A longer line is cut, and says so. */
const maximumLineBytes = 65_536;
/** The longest timestamp (35 characters) and its space. */
const stampBytes = 36;
/** How long a container that starts is asked for its log without a pause to speak of. */
const eagerMs = 15_000;
/** A followed log that says nothing for so long is opened anew: one that died looks the same. Doubles while there is nothing new. */
const silenceMs = { first: 15_000, most: 60_000 };
/** After the container's end: how long what is under way may take to arrive, and how long the last read is tried. */
const drainMs = 30;
const lastReadMs = 30_000;
/** A pod that is not found for so long is gone, whatever the watch says. */
const goneMs = 30_000;

const missingMark = '[lines may be missing here: the node rotated the log away]';
const unreadMark = '[the end of the log could not be read]';

/**
 * The lines of a container's log, from position `after` on, until the container has ended. Each line is given once,
 * in order, across dropped connections, restarts of the API server and rotation; positions are those of the lines in the log,
 * so that another process that follows the same container gives the same. Holds one line and one chunk in memory.
 *
 * Of a log that was rotated the node serves the newest file only. What was lost so, to a reader that was cut off at the time,
 * is marked by a line of its own; a process that begins after a rotation cannot know how many lines were before.
 *
 * Never fails for want of the API server: asks until the container has ended, and then for 30 s.
 * @throws `aborted` or `timeout`, as the call's signal says
 */
export async function* followContainerLog(
  source: ContainerLog,
  options: FollowOptions,
  call: Call,
): AsyncGenerator<PipelineLogLine, void, undefined> {
  const cursor = createLogCursor();
  const end = watchEnd(options, call.signal);
  const pace = createPace();
  let position = 0;
  let silence = silenceMs.first;
  let newest: Timestamp | undefined;
  const lastReads = createLastReads();

  function* take(raw: RawLine): Generator<PipelineLogLine> {
    const space = raw.bytes.subarray(0, stampBytes).indexOf(0x20);
    const stamp = space < 0 ? null : parseTimestamp(raw.bytes.toString('latin1', 0, space));
    // The end of a line whose beginning the node left out as too old, or a word of the kubelet's own.
    if (!stamp) return;
    const status = cursor.accept(stamp);
    if (status === 'seen') return;
    newest = stamp;
    const time = formatTimestamp(stamp);
    if (status === 'new-after-gap') {
      position += 1;
      call.log.warn({ pod: source.pod, position }, 'log lines may be lost to rotation');
      if (position > options.after) yield { position, time, text: missingMark };
    }
    position += 1;
    if (position > options.after) yield { position, time, text: textOf(raw, space + 1) };
  }

  async function* read(body: LogBody, last: boolean): AsyncGenerator<PipelineLogLine, Answered> {
    const lines = createLineSplitter(maximumLineBytes);
    const limits = last ? { quietMs: 10_000 } : { quietMs: silence, end: end.reached, drainMs };
    const chunks = readBody(body, limits);
    cursor.begin();
    try {
      for (;;) {
        const { done, value } = await chunks.next();
        if (done) {
          if (value === 'failed') call.log.debug({ pod: source.pod }, 'a log stream broke off');
          return { complete: value === 'complete', rest: lines.rest() };
        }
        for (const raw of lines.push(value)) yield* take(raw);
      }
    } finally {
      await chunks.return('quiet');
    }
  }

  const wait = (milliseconds: number) =>
    pause(milliseconds, options.isEnded() ? null : end.reached, call.signal);

  try {
    for (;;) {
      if (call.signal.aborted) throw abortedError(call.signal);
      const last = options.isEnded();
      if (last && pace.endedFor() > lastReadMs) {
        call.log.warn({ pod: source.pod, position }, 'the end of a log could not be read');
        const time = newest ? formatTimestamp(newest) : new Date().toISOString();
        yield { position: Math.max(position, options.after) + 1, time, text: unreadMark };
        return;
      }
      const asked = performance.now();
      const answer = await openContainerLog(source, { follow: !last, since: cursor.since() }, call);
      if (answer.status === 'lines') {
        const before = position;
        const { complete, rest } = yield* read(answer.body, last);
        if (call.signal.aborted) throw abortedError(call.signal);
        const progress = position > before;
        silence = progress ? silenceMs.first : Math.min(silence * 2, silenceMs.most);
        if (last && complete) {
          const taken = performance.now();
          if (lastReads.isWhole({ asked, taken, progress, rest })) {
            if (rest) yield* take(rest);
            return;
          }
        }
        if (progress) pace.reset();
        else if (last || !options.isEnded()) await wait(pace.afterDrop());
        continue;
      }
      if (last && answer.status !== 'failed') return;
      if (answer.status === 'missing' && pace.missingFor() > goneMs) return;
      if (answer.status === 'failed') call.log.debug({ ...answer, pod: source.pod }, 'no log');
      await wait(answer.retryAfterMs ?? pace.after(answer.status));
    }
  } finally {
    end.stop();
  }
}

function textOf({ bytes, cut }: RawLine, start: number): string {
  const end = bytes.at(-1) === 0x0d ? bytes.length - 1 : bytes.length;
  const text = bytes.toString('utf8', Math.min(start, end), end);
  return cut ? `${text.replace(/\u{fffd}$/u, '')} [line cut off]` : text;
}

interface Answered {
  readonly complete: boolean;
  /** The beginning of a line, or the last one, where the container did not end it. */
  readonly rest: RawLine | null;
}

interface End {
  /** Resolves when the container has ended. */
  readonly reached: Promise<void>;
  stop(): void;
}

function watchEnd({ isEnded, changed }: FollowOptions, signal: AbortSignal): End {
  const stopped = new AbortController();
  const either = AbortSignal.any([signal, stopped.signal]);
  async function watch(): Promise<void> {
    while (!isEnded()) {
      await changed(either);
      // A watch that reports much, or nothing true, must not keep the event loop.
      await delay(5, undefined, { signal: either });
    }
  }
  const reached = new Promise<void>((resolve) => {
    // Aborted: whoever waits for the end is told by the same signal.
    watch().then(resolve, () => {});
  });
  return { reached, stop: () => stopped.abort() };
}

/** Waits; until the container's end at most, if that is still to come. */
async function pause(milliseconds: number, end: Promise<void> | null, signal: AbortSignal) {
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  try {
    const passed = delay(milliseconds, undefined, { signal: either });
    passed.catch(() => {});
    await (end ? Promise.race([passed, end]) : passed);
  } catch (error) {
    if (signal.aborted) throw abortedError(signal);
    throw error;
  } finally {
    over.abort();
  }
}

/** How long to wait before asking again. Jittered, since builds start together and lose their server together. */
function createPace() {
  const began = performance.now();
  let failures = 0;
  let drops = 0;
  let missingSince: number | undefined;
  let endedSince: number | undefined;
  const jittered = (milliseconds: number) => milliseconds * (0.5 + Math.random());
  const elapsedSince = (start: number) => performance.now() - start;
  return {
    reset() {
      failures = 0;
      drops = 0;
      missingSince = undefined;
    },
    endedFor() {
      endedSince ??= performance.now();
      return elapsedSince(endedSince);
    },
    missingFor() {
      missingSince ??= performance.now();
      return elapsedSince(missingSince);
    },
    afterDrop: () => jittered(Math.min(50 * 2 ** drops++, 1000)),
    after(status: 'starting' | 'missing' | 'failed') {
      if (status === 'failed') return jittered(Math.min(100 * 2 ** failures++, 5000));
      if (status === 'missing') return jittered(250);
      return elapsedSince(began) < eagerMs ? 40 + 60 * Math.random() : jittered(1000);
    },
  };
}
