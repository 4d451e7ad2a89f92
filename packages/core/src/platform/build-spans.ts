import type { BuildClaim } from '../contracts/store.ts';
import type { PlatformContext } from './context.ts';
import type { BuildPhase } from './metrics.ts';
import type { BuildVerdict } from './run-build.ts';
import { failSpan, inSpan, linksTo } from './spans.ts';

/** One attempt at a build, in the words of OpenTelemetry's conventions for CI/CD, with a link to what asked for it. */
export async function inBuildSpan(
  { pipeline }: PlatformContext,
  { build, traceparent }: BuildClaim,
  work: () => Promise<BuildVerdict>,
): Promise<void> {
  const attributes = {
    'cicd.pipeline.action.name': 'BUILD',
    'cicd.pipeline.name': pipeline.name,
    'cicd.pipeline.run.id': build.id,
    'cygni.attempt': build.attempt,
  };
  const links = linksTo(traceparent);
  await inSpan(`BUILD ${pipeline.name}`, { attributes, links }, async (span) => {
    const verdict = await work();
    span.setAttribute('cicd.pipeline.result', resultOf(verdict));
    if (verdict.status === 'failed') failSpan(span, verdict.reason);
  });
}

function resultOf(verdict: BuildVerdict): string {
  if (verdict.status === 'succeeded') return 'success';
  if (verdict.reason === 'cancelled') return 'cancellation';
  if (verdict.reason === 'deadline') return 'timeout';
  return verdict.reason === 'user_error' ? 'failure' : 'error';
}

/** One part of a build: a span within that of the build, and its duration as a metric. */
export async function inPhase<Result>(
  { clock, metrics }: PlatformContext,
  phase: Exclude<BuildPhase, 'total'>,
  work: () => Promise<Result>,
  hasFailed: (result: Result) => boolean = () => false,
): Promise<Result> {
  const startedAt = clock.monotonic();
  let result: 'succeeded' | 'failed' = 'failed';
  const attributes = { 'cicd.pipeline.task.name': phase, 'cicd.pipeline.task.type': 'build' };
  try {
    return await inSpan(phase, { attributes }, async (span) => {
      const outcome = await work();
      if (hasFailed(outcome)) failSpan(span, 'failed');
      else result = 'succeeded';
      return outcome;
    });
  } finally {
    metrics.buildDuration.observe({ phase, result }, (clock.monotonic() - startedAt) / 1000);
  }
}
