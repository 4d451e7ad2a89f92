import { createHash } from 'node:crypto';
import { closeSync, createReadStream, openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { z } from 'zod';

/**
 * What really happened, one line an event, appended by every process to one file. A line is written at once, so
 * that it outlives the process. Times are of the machine's monotonic clock, the same in all processes.
 */
const eventSchema = z.strictObject({
  event: z.enum(['claimed', 'started', 'pushed', 'releasing', 'wrote']),
  buildId: z.string(),
  attempt: z.int(),
  /** For `wrote`: which fenced write the store took. */
  operation: z.enum(['heartbeat', 'log', 'finish', 'release']).optional(),
  /** Milliseconds: just before it was asked for, and when its answer was there. */
  askedAt: z.number(),
  at: z.number(),
  process: z.string(),
});
export type TraceEvent = z.output<typeof eventSchema>;

export interface Trace {
  now(): number;
  record(event: Omit<TraceEvent, 'at' | 'process'>): void;
}

export function openTrace(path: string): Trace & Disposable {
  const file = openSync(path, 'a', 0o600);
  const name = String(process.pid);
  const now = () => Number(process.hrtime.bigint() / 1000n) / 1000;
  return {
    now,
    record(event) {
      const line: TraceEvent = { ...event, at: now(), process: name };
      writeSync(file, `${JSON.stringify(line)}\n`);
    },
    [Symbol.dispose]: () => closeSync(file),
  };
}

export async function* readTrace(path: string): AsyncGenerator<TraceEvent> {
  for await (const line of createInterface({ input: createReadStream(path) })) {
    yield eventSchema.parse(JSON.parse(line));
  }
}

/** The digest of what an attempt pushes: it tells whose it is. */
export function digestOf(buildId: string, attempt: number): string {
  return `sha256:${createHash('sha256').update(`${buildId} ${attempt}`).digest('hex')}`;
}
