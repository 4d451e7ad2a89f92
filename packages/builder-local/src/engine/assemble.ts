import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { assembleImage } from '../assemble/assemble-image.ts';
import { parseDockerfile } from '../dockerfile/parse-dockerfile.ts';
import { refuseRun } from '../dockerfile/refuse-run.ts';
import { planStages } from '../dockerfile/stages.ts';
import { compileIgnore, readIgnoreLines, withoutIgnored } from '../files/dockerignore.ts';
import { pushImage } from '../image/push-image.ts';
import type { Engine } from './engine.ts';
import { readDockerfile } from './read-dockerfile.ts';

/** Puts images together in this process, from Dockerfiles without RUN. */
export function createAssembleEngine(): Engine {
  return {
    name: 'assemble',
    supportsRun: false,
    check() {},
    async build({ job, tree, directory, images, platform, limits, write, call }) {
      const { dockerfile, ignore } = await readDockerfile(tree, job);
      const { target, buildArguments } = job;
      const plan = planStages(parseDockerfile(dockerfile), { target, buildArguments, platform });
      refuseRun(plan.needed.flatMap((stage) => stage.instructions));
      const excluded = compileIgnore(readIgnoreLines(ignore));
      const context = await withoutIgnored(tree, excluded, call.signal);
      const layers = join(directory, 'layers');
      await mkdir(layers);
      const image = await assembleImage({
        job,
        plan,
        context,
        images,
        platform,
        directory: layers,
        limits,
        write,
        call,
      });
      return pushImage(image, { images, job, write, call });
    },
    cleanUp: (directory) => rm(directory, { recursive: true, force: true, maxRetries: 3 }),
  };
}
