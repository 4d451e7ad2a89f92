import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hostPlatform } from '@cygni/core';
import type { EngineJob } from './engine.ts';
import { readDockerfile } from './read-dockerfile.ts';

export interface BuildFiles {
  readonly dockerfile: string;
  readonly ignoreFile: string;
  readonly idFile: string;
}

/** Puts the Dockerfile and its ignore file beside the context, where no link of the context can lead elsewhere. */
export async function writeBuildFiles({ tree, job, directory }: EngineJob): Promise<BuildFiles> {
  const text = await readDockerfile(tree, job);
  const files = {
    dockerfile: join(directory, 'Dockerfile'),
    // BuildKit looks for it under this name; the others are told.
    ignoreFile: join(directory, 'Dockerfile.dockerignore'),
    idFile: join(directory, 'image-id'),
  };
  await writeFile(files.dockerfile, text.dockerfile);
  await writeFile(files.ignoreFile, text.ignore);
  return files;
}

/** One `--flag=value` each, so that no value is ever read as a flag; an argument always has its value. */
export function buildFlags({ job, platform }: EngineJob, files: BuildFiles): readonly string[] {
  return [
    `--file=${files.dockerfile}`,
    `--iidfile=${files.idFile}`,
    ...(isHost(platform) ? [] : [`--platform=${platform.os}/${platform.architecture}`]),
    ...(job.target === null ? [] : [`--target=${job.target}`]),
    ...Object.entries(job.buildArguments).map(([name, value]) => `--build-arg=${name}=${value}`),
  ];
}

function isHost({ os, architecture }: EngineJob['platform']): boolean {
  const host = hostPlatform();
  return os === host.os && architecture === host.architecture;
}
