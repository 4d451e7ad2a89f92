import type { BuildRun, PipelineLogLine } from '../contracts/build-pipeline.ts';
import type { Call } from '../contracts/call.ts';
import type { Fence, Store } from '../contracts/store.ts';
import type { Bell } from './bell.ts';
import type { Clock } from './clock.ts';
import type { Metrics } from './metrics.ts';
import { toPrintable } from './printable.ts';
import { retryWhileUnavailable } from './retry.ts';

/** The least time between two flushes: the first line after a pause is not kept waiting. */
const flushIntervalMs = 100;
const flushLines = 500;
const maximumLineCharacters = 16_384;

export interface LogPumpOptions {
  readonly store: Store;
  readonly bell: Bell;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Told every line in order. */
  readonly redact: (line: string) => string;
  /** Bytes of log that one attempt may store. What is over is dropped, with a mark in the log. */
  readonly maximumBytes: number;
  /** The position of the last line that is stored already. */
  readonly after: number;
}

/**
 * Moves a run's log through the redactor into the store, until the run's log ends.
 * A log that cannot be stored does not fail the build: what is lost is counted and reported.
 */
export async function pumpLog(
  run: BuildRun,
  fence: Fence,
  options: LogPumpOptions,
  call: Call,
): Promise<void> {
  const { store, bell, metrics, clock } = options;
  let pending: PipelineLogLine[] = [];
  let bytes = 0;
  let full = false;
  let flushing = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let flushedAt = Number.NEGATIVE_INFINITY;

  async function append(lines: readonly PipelineLogLine[]): Promise<void> {
    const position = lines[0]?.position;
    if (position === undefined) return;
    try {
      const kept = await retryWhileUnavailable(call.signal, () =>
        store.appendLog(
          { ...fence, position, lines: lines.map(({ time, text }) => ({ time, text })) },
          call,
        ),
      );
      if (!kept) metrics.logDropped.inc(lines.length);
      else metrics.logLag.observe(secondsSince(lines[0]?.time));
    } catch (err) {
      metrics.logDropped.inc(lines.length);
      call.log.warn({ err, lines: lines.length }, 'log lines were lost');
    }
    bell.ring(`log:${fence.id}`);
  }

  /** Only as exact as the clocks of two machines. */
  function secondsSince(time = ''): number {
    return Math.max(0, clock.now().getTime() - Date.parse(time)) / 1000 || 0;
  }

  function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    flushedAt = performance.now();
    const lines = pending;
    pending = [];
    flushing = flushing.then(() => append(lines));
    return flushing;
  }

  function accept(line: PipelineLogLine): void {
    const text = cut(options.redact(toPrintable(line.text)));
    const size = Buffer.byteLength(text) + 1;
    if (bytes + size > options.maximumBytes) {
      full = true;
      pending.push({ ...line, text: `[log cut off: over ${options.maximumBytes} bytes]` });
      return;
    }
    bytes += size;
    metrics.logBytes.inc(size);
    pending.push({ ...line, text });
  }

  for await (const line of run.logs({ after: options.after }, call)) {
    if (full) {
      metrics.logDropped.inc();
      continue;
    }
    accept(line);
    if (pending.length >= flushLines) await flush();
    else timer ??= setTimeout(flush, Math.max(0, flushedAt + flushIntervalMs - performance.now()));
  }
  await flush();
}

function cut(line: string): string {
  return line.length > maximumLineCharacters
    ? `${line.slice(0, maximumLineCharacters).toWellFormed()} [line cut off]`
    : line;
}
