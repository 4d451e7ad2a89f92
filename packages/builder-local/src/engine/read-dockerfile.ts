import { readFile } from 'node:fs/promises';
import type { BuildJob } from '@cygni/core';
import { userError } from '../build-fault.ts';
import { followPath } from '../files/resolve-path.ts';
import type { DirectoryNode } from '../files/tree.ts';

const maximumBytes = 256 * 1024;

export interface DockerfileText {
  readonly dockerfile: string;
  /** Of `<Dockerfile>.dockerignore`, else `.dockerignore`; empty where there is neither. */
  readonly ignore: string;
}

/**
 * Reads both from the context, links followed only inside of it: an engine that opened the path itself
 * could be led to a file of this machine, and would quote it in its errors.
 * @throws BuildFault
 */
export async function readDockerfile(
  tree: DirectoryNode,
  { dockerfile }: BuildJob,
): Promise<DockerfileText> {
  const text = await readText(tree, dockerfile);
  if (text === undefined) throw userError(`${dockerfile} was not found in the source archive`);
  const ignore =
    (await readText(tree, `${dockerfile}.dockerignore`)) ?? (await readText(tree, '.dockerignore'));
  return { dockerfile: text, ignore: ignore ?? '' };
}

async function readText(tree: DirectoryNode, path: string): Promise<string | undefined> {
  const file = followPath(tree, path);
  if (!file) return undefined;
  if (file.kind !== 'file' || file.content.kind !== 'path') throw userError(`${path} is no file`);
  if (file.size > maximumBytes) throw userError(`${path} is larger than 256 KiB`);
  return readFile(file.content.path, 'utf8');
}
