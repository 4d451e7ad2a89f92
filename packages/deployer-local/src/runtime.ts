import type { Call, ReadImage, RepositoryLocation } from '@cygni/core';
import type { ImageCommand } from './image-command.ts';
import type { ProcessRecord } from './state-file.ts';

/** An instance's process, started or found again. */
export interface RunningProcess {
  readonly record: ProcessRecord;
  /** Fulfilled with the reason for people once it is gone; never rejected. */
  readonly exited: Promise<string>;
  /** SIGTERM, and SIGKILL after the grace. Returns once nothing of it runs any more. */
  stop(graceMs: number): Promise<void>;
}

export interface LaunchPlan {
  readonly instanceId: string;
  /** A directory of the instance's own, which exists. */
  readonly directory: string;
  readonly image: ReadImage;
  readonly location: RepositoryLocation;
  readonly command: ImageCommand;
  readonly port: number;
  /** Called before anything of the image runs, so that a crash of this process leaves nothing unknown. */
  readonly onCreated: (record: ProcessRecord) => Promise<void>;
}

/** One way to run an image on this machine. */
export interface Runtime {
  readonly name: string;
  /** Brings the image's content to this machine; may take long. */
  fetchImage(image: ReadImage, location: RepositoryLocation, call: Call): Promise<void>;
  start(plan: LaunchPlan, call: Call): Promise<RunningProcess>;
  /** The process of a record; null if it is gone, or not of this runtime. */
  find(record: ProcessRecord, directory: string, call: Call): Promise<RunningProcess | null>;
  tailLog(
    instance: { readonly id: string; readonly directory: string },
    lines: number,
    call: Call,
  ): Promise<readonly string[]>;
  /** Deletes what is left of an ended instance apart from its directory, and with the image what no other instance needs of it. */
  discard(instanceId: string, options: { readonly withImage: boolean }, call: Call): Promise<void>;
  /** Deletes image content that no applied revision uses, and instances that no record names. */
  prune(
    kept: {
      readonly image: (digest: string) => boolean;
      readonly instance: (id: string) => boolean;
    },
    call: Call,
  ): Promise<void>;
}
