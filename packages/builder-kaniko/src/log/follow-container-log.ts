import { setTimeout as delay } from 'node:timers/promises';
import { abortedError, type Call, type PipelineLogLine, type StoredLog } from '@cygni/core';
import { type ContainerLog, type LogBody, openContainerLog } from './container-log.ts';
import { createLastReads } from './last-reads.ts';
import { createLogCursor } from './log-cursor.ts';
import { createPace } from './pace.ts';
import { type BodyEnd, type BodyLimits, readBody } from './read-body.ts';
import { createLineSplitter, type RawLine } from './split-lines.ts';
import { compareTimestamps, formatTimestamp, parseTimestamp, type Timestamp } from './timestamp.ts';

export interface FollowOptions {
  /** Lines up to this position are not given again. */
  readonly after: number;
  /** What another process has given of this log. Default: nothing that is known. */
  readonly stored?: StoredLog | null;
  /** The watch saw the container run, or what comes after that. */
  isStarted(): boolean;
  /** The watch saw the container terminated, or its pod gone. */
  isEnded(): boolean;
  /** The container has nothing left to do: its node is asked whether it runs, since the watch tells late. */
  isEnding(): boolean;
  /** Resolves at the next change of what the three above say. */
  changed(signal: AbortSignal): Promise<void>;
}

/** A longer line is cut, and says so. */
const maximumLineBytes = 65_536;
/** The longest timestamp (35 characters) and its space. */
const stampBytes = 36;
/** A followed log that says nothing for so long is opened anew: one that died looks the same. Doubles while there is nothing new. */
const silenceMs = { first: 15_000, most: 60_000 };
/** After the container's end: how long what is under way may take to arrive, and how long the last read is tried. */
const drainMs = 30;
const lastReadMs = 30_000;
/** A container that is ending: how long a follow may be silent until a new one asks whether it still runs. Grows. */
const endingMs = { first: 40, most: 1_000 };
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
 * is marked by a line of its own. A process that begins after a rotation goes on behind what is stored.
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
  const changes = watchChanges(options, call.signal);
  const pace = createPace();
  let position = 0;
  let silence = silenceMs.first;
  let newest: Timestamp | undefined;
  let isBegun = false;
  let endingSilence = endingMs.first;
  const lastReads = createLastReads();

  /** Positions are counted from the log's first line, unless that can be read no more. */
  function begin(first: Timestamp): void {
    isBegun = true;
    const [storedFirst, storedLast] = [options.stored?.firstTime, options.stored?.lastTime].map(
      (time) => parseTimestamp(time ?? ''),
    );
    if (!options.stored || !storedFirst || !storedLast) return;
    if (compareTimestamps(first, storedFirst) === 0) return;
    cursor.resume(storedLast);
    position = options.stored.position;
  }

  function* take(raw: RawLine): Generator<PipelineLogLine> {
    const space = raw.bytes.subarray(0, stampBytes).indexOf(0x20);
    const stamp = space < 0 ? null : parseTimestamp(raw.bytes.toString('latin1', 0, space));
    // The end of a line whose beginning the node left out as too old, or a word of the kubelet's own.
    if (!stamp) return;
    if (!isBegun) begin(stamp);
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

  function limitsOf(reading: Reading): BodyLimits {
    if (reading === 'last') return { quietMs: 10_000 };
    if (reading === 'ending') return { quietMs: endingSilence };
    return { quietMs: silence, end: changes.end, drainMs };
  }

  async function* read(body: LogBody, reading: Reading): AsyncGenerator<PipelineLogLine, Answered> {
    const lines = createLineSplitter(maximumLineBytes);
    const chunks = readBody(body, limitsOf(reading));
    cursor.begin();
    try {
      for (;;) {
        const { done, value } = await chunks.next();
        if (done) {
          if (value === 'failed') call.log.debug({ pod: source.pod }, 'a log stream broke off');
          return { end: value, rest: lines.rest() };
        }
        for (const raw of lines.push(value)) yield* take(raw);
      }
    } finally {
      await chunks.return('quiet');
    }
  }

  function readingNow(): Reading {
    if (options.isEnded()) return 'last';
    return options.isEnding() ? 'ending' : 'followed';
  }

  function paused(reading: Reading, { end, rest }: Answered): boolean {
    if (reading === 'ending') return end === 'failed' || (end === 'complete' && rest !== null);
    return reading === 'last' || readingNow() === 'followed';
  }

  const endNow = () => (readingNow() === 'followed' ? changes.end : null);

  try {
    for (;;) {
      if (call.signal.aborted) throw abortedError(call.signal);
      const reading = readingNow();
      const last = reading === 'last';
      if (last && pace.endedFor() > lastReadMs) {
        call.log.warn({ pod: source.pod, position }, 'the end of a log could not be read');
        const time = newest ? formatTimestamp(newest) : new Date().toISOString();
        yield { position: Math.max(position, options.after) + 1, time, text: unreadMark };
        return;
      }
      if (!options.isStarted()) await pause(pace.after('unseen'), changes.start, call.signal);
      const asked = performance.now();
      const answer = await openContainerLog(source, { follow: !last, since: cursor.since() }, call);
      if (answer.status === 'lines') {
        const before = position;
        const answered = yield* read(answer.body, reading);
        if (call.signal.aborted) throw abortedError(call.signal);
        const progress = position > before;
        silence = progress ? silenceMs.first : Math.min(silence * 2, silenceMs.most);
        if (reading === 'ending') {
          endingSilence = Math.min(endingSilence * 1.5, endingMs.most);
        }
        // A node ends a follow by itself only when the container does not run any more.
        if (reading !== 'followed' && answered.end === 'complete') {
          const { rest } = answered;
          const read = { asked, taken: performance.now(), progress, rest };
          if (lastReads.isWhole(read, options.isEnding() ? 'expected' : 'any')) {
            if (rest) yield* take(rest);
            return;
          }
        }
        if (progress) pace.reset();
        else if (paused(reading, answered)) await pause(pace.afterDrop(), endNow(), call.signal);
        continue;
      }
      if (last && answer.status !== 'failed') return;
      if (answer.status === 'missing' && pace.missingFor() > goneMs) return;
      if (answer.status === 'starting' && !options.isStarted()) continue;
      if (answer.status === 'failed') call.log.debug({ ...answer, pod: source.pod }, 'no log');
      await pause(answer.retryAfterMs ?? pace.after(answer.status), endNow(), call.signal);
    }
  } finally {
    changes.stop();
  }
}

function textOf({ bytes, cut }: RawLine, start: number): string {
  const end = bytes.at(-1) === 0x0d ? bytes.length - 1 : bytes.length;
  const text = bytes.toString('utf8', Math.min(start, end), end);
  return cut ? `${text.replace(/\u{fffd}$/u, '')} [line cut off]` : text;
}

/** `followed`: as it grows. `ending`: to learn whether it still may. `last`: once it does not. */
type Reading = 'followed' | 'ending' | 'last';

interface Answered {
  readonly end: BodyEnd;
  /** The beginning of a line, or the last one, where the container did not end it. */
  readonly rest: RawLine | null;
}

interface Changes {
  /** Resolves when the container runs, or has ended without that. */
  readonly start: Promise<void>;
  /** Resolves when the container has ended, or is ending. */
  readonly end: Promise<void>;
  stop(): void;
}

function watchChanges(options: FollowOptions, signal: AbortSignal): Changes {
  const stopped = new AbortController();
  const either = AbortSignal.any([signal, stopped.signal]);
  const start = Promise.withResolvers<void>();
  function change(): Promise<void> {
    const happened = options.changed(either);
    happened.catch(() => {});
    return happened;
  }
  async function watch(): Promise<void> {
    let changed = change();
    while (!options.isEnded() && !options.isEnding()) {
      await changed;
      // From now on, so that none is missed in the pause.
      changed = change();
      if (options.isStarted()) start.resolve();
      // A watch that reports much, or nothing true, must not keep the event loop.
      await delay(5, undefined, { signal: either });
    }
    start.resolve();
  }
  const end = new Promise<void>((resolve) => {
    // Aborted: whoever waits for the end is told by the same signal.
    watch().then(resolve, () => {});
  });
  return { start: start.promise, end, stop: () => stopped.abort() };
}

/** Waits; until something sooner at most, if that is given. */
async function pause(milliseconds: number, sooner: Promise<void> | null, signal: AbortSignal) {
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  try {
    const passed = delay(milliseconds, undefined, { signal: either });
    passed.catch(() => {});
    await (sooner ? Promise.race([passed, sooner]) : passed);
  } catch (error) {
    if (signal.aborted) throw abortedError(signal);
    throw error;
  } finally {
    over.abort();
  }
}
