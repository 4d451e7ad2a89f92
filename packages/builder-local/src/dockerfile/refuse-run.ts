import { dockerfileError } from '../build-fault.ts';
import type { Instruction } from './instruction.ts';

/** @throws BuildFault for the first RUN, with the engines that could do it */
export function refuseRun(instructions: readonly Instruction[]): void {
  const run = instructions.find((instruction) => instruction.kind === 'run');
  if (!run) return;
  throw dockerfileError(
    run.line,
    `${shorten(run.text)}: RUN needs an engine that runs containers (docker, podman, buildah or kaniko); this builder only assembles files`,
  );
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
