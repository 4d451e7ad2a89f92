import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalPipeline, type LocalPipelineOptions } from '@cygni/builder-local';
import type {
  BuildJob,
  BuildOutcome,
  BuildPipeline,
  Call,
  Logger,
  RepositoryLocation,
} from '@cygni/core';
import { type Files, sourceOf } from './archive.ts';
import type { TestRegistry } from './registry.ts';

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** `CYGNI_TEST_LOG` shows what a pipeline logs. */
const shown = process.env.CYGNI_TEST_LOG
  ? {
      ...silent,
      error: (fields: object) => process.stderr.write(`${Object.values(fields).join(' ')}\n`),
    }
  : silent;

export function call(signal: AbortSignal = AbortSignal.timeout(60_000)): Call {
  return { signal, log: shown };
}

export interface TestPipeline extends AsyncDisposable {
  readonly pipeline: BuildPipeline;
  readonly directory: string;
  /** Directories of runs that are still there. */
  remains(): Promise<readonly string[]>;
}

export async function openPipeline(
  options: Omit<LocalPipelineOptions, 'directory'>,
): Promise<TestPipeline> {
  const directory = await mkdtemp(join(tmpdir(), 'cygni-builds-'));
  const pipeline = createLocalPipeline({ ...options, directory });
  await pipeline.open(call());
  return {
    pipeline,
    directory,
    async remains() {
      const entries = await readdir(directory, { recursive: true, withFileTypes: true });
      return entries
        .filter((each) => each.parentPath !== directory && !each.name.endsWith('.log'))
        .map((each) => join(each.parentPath, each.name));
    },
    async [Symbol.asyncDispose]() {
      await pipeline.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export interface JobOptions extends Partial<Omit<BuildJob, 'source'>> {
  readonly files?: Files;
  readonly source?: BuildJob['source'];
}

export async function jobOf(registry: TestRegistry, options: JobOptions): Promise<BuildJob> {
  const { files, source, ...rest } = options;
  return {
    buildId: randomUUID(),
    attempt: 1,
    tenantId: 'acme',
    source: source ?? (await sourceOf(files ?? {})),
    dockerfile: 'Dockerfile',
    target: null,
    buildArguments: {},
    machine: 'small',
    timeoutSeconds: 60,
    destination: registry.at('acme/app'),
    ...rest,
  };
}

export interface Finished {
  readonly outcome: BuildOutcome;
  readonly lines: readonly string[];
}

export async function build(pipeline: BuildPipeline, job: BuildJob): Promise<Finished> {
  const run = await pipeline.start(job, call());
  const outcome = await run.wait(call());
  const lines: string[] = [];
  for await (const { text } of run.logs({ after: 0 }, call())) lines.push(text);
  return { outcome, lines };
}

/** Puts a tag on an image, as the platform does after a build. */
export async function tagImage(
  { images }: TestRegistry,
  location: RepositoryLocation,
  digest: string,
  tag: string,
): Promise<void> {
  const manifest = await images.getManifest(location, digest, call());
  await images.putManifest(location, tag, manifest, call());
}
