import type { BuildJob, Call, ImageClient } from '@cygni/core';
import type { DirectoryNode } from '../files/tree.ts';
import type { PushedImage } from '../image/push-image.ts';
import type { EngineName, Limits } from '../options.ts';

export interface EngineJob {
  readonly job: BuildJob;
  /** The unpacked context: as a tree, and where it lies. */
  readonly tree: DirectoryNode;
  readonly contextDirectory: string;
  /** Existing and empty; deleted after the run. */
  readonly directory: string;
  readonly images: ImageClient;
  readonly platform: { readonly os: string; readonly architecture: string };
  readonly limits: Limits;
  readonly write: (line: string) => Promise<void>;
  readonly call: Call;
}

/** One way to turn a context into an image in a registry. */
export interface Engine {
  readonly name: EngineName;
  readonly supportsRun: boolean;
  /** @throws `unavailable` if it cannot work on this machine */
  check(): void;
  /** @throws BuildFault */
  build(input: EngineJob): Promise<PushedImage>;
  /** Ends and deletes all that a build has left, its directory with it, whatever state it was in. */
  cleanUp(directory: string, call: Call): Promise<void>;
}
