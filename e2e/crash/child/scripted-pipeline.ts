import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type BuildJob,
  type BuildOutcome,
  type BuildPipeline,
  type BuildRun,
  CygniError,
  type PipelineLogLine,
  SPEC_VERSION,
} from '@cygni/core';
import type { Random } from '../random.ts';
import { digestOf, type Trace } from '../trace.ts';
import type { Faults } from './faults.ts';

export const imageBytes = 1_000;

interface Options {
  /** The registry: a file for each image. */
  readonly images: string;
  readonly trace: Trace;
  readonly faults: Faults;
  readonly random: Random;
}

/** Pushes an image of its own for each attempt, and writes that down, after as long as a build of the script takes. */
export function createScriptedPipeline(options: Options): BuildPipeline {
  return {
    specVersion: SPEC_VERSION,
    name: 'scripted',
    supports: { run: true, cache: false, adopt: false },
    async open() {},
    async close() {},
    async start(job, call) {
      const { buildId, attempt } = job;
      if (fateOf(job) === 'unavailable') {
        throw new CygniError('unavailable', 'the cluster takes no more builds');
      }
      options.trace.record({ event: 'started', buildId, attempt, askedAt: options.trace.now() });
      const archive = await job.source.open(call);
      return startRun(async (print, cancelled) => {
        let bytes = 0;
        for await (const chunk of archive) bytes += chunk.byteLength;
        print(`attempt ${attempt} reads ${bytes} bytes`);
        return build(job, options, print, cancelled);
      });
    },
  };
}

type Fate = 'success' | 'user_error' | 'evicted' | 'unavailable';

/** The same for all attempts of a build, but that a fault of the platform hits the first one only. */
function fateOf({ buildId, attempt }: BuildJob): Fate {
  const draw = createHash('sha256').update(buildId).digest().readUInt8(0) / 256;
  if (draw < 0.06) return 'user_error';
  if (draw < 0.16 && attempt === 1) return 'evicted';
  if (draw > 0.97 && attempt === 1) return 'unavailable';
  return 'success';
}

/** A second attempt may take long: a worker that wakes up with the first one's claim then finds a rival at work. */
function durationMs({ attempt }: BuildJob, random: Random): number {
  const long = random.chance(attempt === 1 ? 0.02 : 0.5);
  return long ? random.between(800, 2_500) : 4 + 150 * random.next() ** 3;
}

async function build(
  job: BuildJob,
  { images, trace, faults, random }: Options,
  print: (text: string) => void,
  cancelled: AbortSignal,
): Promise<BuildOutcome> {
  const { buildId, attempt } = job;
  const duration = durationMs(job, random);
  for (const step of [1, 2]) {
    await sleep(duration / 2, undefined, { signal: cancelled });
    print(`step ${step} of attempt ${attempt}`);
  }
  const fate = fateOf(job);
  if (fate === 'user_error' || fate === 'evicted') {
    return { status: 'failed', reason: fate, message: 'as the script wants it' };
  }
  faults.reach('push: built, not pushed');
  const digest = digestOf(buildId, attempt);
  await writeFile(join(images, digest), '', { flag: 'w' });
  trace.record({ event: 'pushed', buildId, attempt, askedAt: trace.now() });
  faults.reach('push: pushed, not reported');
  return { status: 'succeeded', digest, sizeBytes: imageBytes, cache: null };
}

function startRun(
  work: (print: (text: string) => void, cancelled: AbortSignal) => Promise<BuildOutcome>,
): BuildRun {
  const lines: PipelineLogLine[] = [];
  const cancelled = new AbortController();
  let ended = false;
  let printed = Promise.withResolvers<void>();
  function wake(): void {
    printed.resolve();
    printed = Promise.withResolvers();
  }
  const print = (text: string) => {
    lines.push({ position: lines.length + 1, time: new Date().toISOString(), text });
    wake();
  };
  const outcome = work(print, cancelled.signal)
    .catch((error: unknown): BuildOutcome => {
      if (!cancelled.signal.aborted) throw error;
      return { status: 'failed', reason: 'cancelled', message: 'cancelled' };
    })
    .finally(() => {
      ended = true;
      wake();
    });
  outcome.catch(() => {});
  return {
    async *logs({ after }) {
      for (let next = after; ; next += 1) {
        while (next >= lines.length && !ended) await printed.promise;
        const line = lines[next];
        if (!line) return;
        yield line;
      }
    },
    wait: () => outcome,
    async cancel() {
      cancelled.abort();
    },
  };
}
