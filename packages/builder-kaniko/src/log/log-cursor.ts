import { compareTimestamps, type Timestamp } from './timestamp.ts';

/** What a line of an answer is. `new-after-gap`: it is new, and lines before it may be lost. */
type LineStatus = 'seen' | 'new' | 'new-after-gap';

export interface LogCursor {
  /** Unix time in whole seconds from which to ask; null: from the beginning. */
  since(): number | null;
  /** What another reader has taken ends with a line of that time, and the log does not begin any more where that began. */
  resume(newest: Timestamp): void;
  /** An answer to a request with `since()` begins. */
  begin(): void;
  /** Takes the answer's lines in their order. */
  accept(stamp: Timestamp): LineStatus;
}

/** The lines that an answer from some second on begins with. */
interface Window {
  readonly first: Timestamp;
  readonly count: number;
}

interface Replay extends Window {
  /** 0: not aligned yet. */
  seen: number;
  /** The log no longer begins where it was asked to: only timestamps can tell old from new. */
  rotated: boolean;
  /** Lines met again that carry the newest known timestamp. */
  newestSeen: number;
}

const unaligned = { seen: 0, rotated: false, newestSeen: 0 };

/** No log of fewer lines is rotated: the kubelet's smallest limit is reached later, even by the longest lines. */
const rotatedLines = 100;

/**
 * Remembers which lines of a container's log were taken, so that a log that is asked for again gives each line once.
 *
 * The kubelet takes `sinceTime` in whole seconds and answers with every line from then on, in the order of the file.
 * So lines are counted, not compared: neither equal timestamps nor equal texts matter. The window asked for again is the
 * newest second and the one before, because stdout and stderr are stamped by two threads and may be written out of order.
 * A clock that is set back by more is noticed by the first line that shows it, so not while nobody reads: lines that were
 * written between a drop and the next answer are then lost.
 */
export function createLogCursor(): LogCursor {
  /** Everything; the newest second and the one before; the newest second alone. */
  let whole: Window | undefined;
  let recent: Window | undefined;
  let current: Window | undefined;
  let second = Number.NEGATIVE_INFINITY;
  /** The node's clock was set back: only the whole log holds what comes next, until the clock has caught up. */
  let behind = false;
  let newest: Timestamp | undefined;
  let newestCount = 0;
  let replay: Replay | undefined;

  function remember(stamp: Timestamp): void {
    const order = newest ? compareTimestamps(stamp, newest) : 1;
    if (order > 0) newest = stamp;
    if (order >= 0) newestCount = order > 0 ? 1 : newestCount + 1;
    whole = grown(whole, stamp);
    if (stamp.seconds > second) {
      recent = grown(stamp.seconds === second + 1 ? current : undefined, stamp);
      current = grown(undefined, stamp);
      second = stamp.seconds;
      behind = false;
      return;
    }
    if (stamp.seconds === second) current = grown(current, stamp);
    if (stamp.seconds >= second - 1) recent = grown(recent, stamp);
    else behind = true;
  }

  /**
   * The kubelet, when it follows a log that is just being rotated, may open the same file once more and give it from its
   * first line on, within one answer.
   */
  function beginsAgain(stamp: Timestamp): boolean {
    if (!whole || !newest || whole.count < rotatedLines) return false;
    return compareTimestamps(stamp, whole.first) === 0 && compareTimestamps(stamp, newest) < 0;
  }

  function judgeRotated(stamp: Timestamp, known: Replay): LineStatus {
    const order = newest ? compareTimestamps(stamp, newest) : 1;
    if (order < 0) return 'seen';
    if (order === 0 && known.newestSeen < newestCount) {
      known.newestSeen += 1;
      return 'seen';
    }
    replay = undefined;
    const gap = known.newestSeen === 0;
    // What was counted is gone from the log.
    whole = recent = current = undefined;
    second = Number.NEGATIVE_INFINITY;
    remember(stamp);
    return gap ? 'new-after-gap' : 'new';
  }

  return {
    since: () => (whole === undefined || behind ? null : second - 1),

    resume(stamp) {
      newest = stamp;
      newestCount = 1;
      replay = rotatedSince(stamp);
    },

    begin() {
      const window = behind ? whole : recent;
      if (window) replay = { ...window, ...unaligned };
      // Resumed, and nothing was met yet that is new.
      else replay = newest && rotatedSince(newest);
    },

    accept(stamp) {
      if (!replay && beginsAgain(stamp)) replay = whole && { ...whole, ...unaligned };
      if (!replay) {
        remember(stamp);
        return 'new';
      }
      if (!replay.rotated && replay.seen === 0) {
        replay.rotated = compareTimestamps(stamp, replay.first) !== 0;
      }
      if (replay.rotated) return judgeRotated(stamp, replay);
      replay.seen += 1;
      if (replay.seen === replay.count) replay = undefined;
      return 'seen';
    },
  };
}

function rotatedSince(newest: Timestamp): Replay {
  return { first: newest, count: 0, ...unaligned, rotated: true };
}

function grown(window: Window | undefined, stamp: Timestamp): Window {
  return window ? { first: window.first, count: window.count + 1 } : { first: stamp, count: 1 };
}
