import type { RepositoryLocation } from '@cygni/core';
import { isBuildFault } from '../build-fault.ts';
import { parseDockerfile } from '../dockerfile/parse-dockerfile.ts';
import { planStages } from '../dockerfile/stages.ts';
import { locate, parseImageReference } from '../image/image-reference.ts';
import type { EngineJob } from './engine.ts';
import { readDockerfile } from './read-dockerfile.ts';

export interface OwnImage {
  readonly reference: string;
  readonly location: RepositoryLocation;
}

/** The images that a Dockerfile takes from the registry it is pushed to. */
export async function findOwnImages({
  tree,
  job,
  platform,
}: EngineJob): Promise<readonly OwnImage[]> {
  const { target, buildArguments } = job;
  try {
    const { dockerfile } = await readDockerfile(tree, job);
    const { needed, stages } = planStages(parseDockerfile(dockerfile), {
      target,
      buildArguments,
      platform,
    });
    const references = needed.flatMap(({ base, instructions }) => [
      ...(base.kind === 'image' ? [base.reference] : []),
      ...instructions.flatMap((each) =>
        each.kind === 'copy' &&
        each.from !== null &&
        !/^[0-9]+$/.test(each.from) &&
        !stages.some((stage) => stage.name === each.from?.toLowerCase())
          ? [each.from]
          : [],
      ),
    ]);
    return [...new Set(references)]
      .filter((reference) => reference.startsWith(`${job.destination.host}/`))
      .map((reference) => ({ reference, location: locate(parseImageReference(reference), job) }));
  } catch (error) {
    // The engine may know more of the language than this package; it will say what is wrong.
    if (isBuildFault(error)) return [];
    throw error;
  }
}
