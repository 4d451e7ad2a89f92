import type { CacheUse, FailureReason, MachineSize } from '../model/build.ts';
import type { Adapter, Call } from './call.ts';
import type { RegistryCredentials, RepositoryLocation } from './registry.ts';

/** The build context: a gzip-compressed tar archive. */
export interface BuildSource {
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  open(call: Call): Promise<AsyncIterable<Uint8Array>>;
  /** An address that serves the archive to who holds it. @throws `unsupported` if the artifact store cannot presign */
  presign(expiresInSeconds: number, call: Call): Promise<URL>;
}

/** External effects are named by it. */
export interface RunName {
  readonly buildId: string;
  /** The attempt that began the run. Starts at 1. */
  readonly attempt: number;
}

/** How far the log of a run is stored. */
export interface StoredLog {
  /** Of the newest line. */
  readonly position: number;
  /** When the first line and the newest were printed, as the pipeline told it. */
  readonly firstTime: string;
  readonly lastTime: string;
}

export interface BuildJob extends RunName {
  /**
   * A claim before this one began the run: it may have ended already, and all that is left may be the image that it
   * pushed. Default: false.
   */
  readonly resumed?: boolean;
  /**
   * What is stored of the run's log, so that the lines after it are known even where the log's beginning can be read no
   * more. Default: nothing.
   */
  readonly storedLog?: StoredLog | null;
  readonly tenantId: string;
  readonly source: BuildSource;
  /** Path of the Dockerfile inside the context. */
  readonly dockerfile: string;
  /** The stage to build; null: the last one. */
  readonly target: string | null;
  readonly buildArguments: Readonly<Record<string, string>>;
  readonly machine: MachineSize;
  readonly timeoutSeconds: number;
  readonly destination: RepositoryLocation;
  /** Others for the destination, which did not take `refused`: they may have run out on the way. Default: there are none. */
  readonly renewCredentials?: (
    refused: RegistryCredentials,
    call: Call,
  ) => Promise<RegistryCredentials>;
}

export interface PipelineLogLine {
  /** Starts at 1 and grows by 1 within one attempt, also across reconnects and adoption. */
  readonly position: number;
  /** ISO 8601 */
  readonly time: string;
  readonly text: string;
}

export type BuildOutcome =
  | {
      readonly status: 'succeeded';
      /** Of the manifest that the registry accepted. */
      readonly digest: string;
      readonly sizeBytes: number;
      /** Null where the build used no cache. */
      readonly cache: CacheUse | null;
    }
  | { readonly status: 'failed'; readonly reason: FailureReason; readonly message: string };

export interface BuildRun {
  /** The lines after position `after`, until the run has ended. Survives reconnects. May be called more than once. */
  logs(options: { readonly after: number }, call: Call): AsyncIterable<PipelineLogLine>;
  /** Resolves when the run has ended. Rejects only where the outcome cannot be known. */
  wait(call: Call): Promise<BuildOutcome>;
  /** Ends the run; `wait` then resolves with reason `cancelled`. Idempotent. */
  cancel(call: Call): Promise<void>;
}

/**
 * Turns a source archive into an image in a registry. Sets none of the user's tags: whoever asked for the build
 * does, once its digest is confirmed, so that no tag ever points at a build that failed.
 */
export interface BuildPipeline extends Adapter {
  readonly supports: {
    /** RUN instructions. */
    readonly run: boolean;
    /** A layer cache between builds. */
    readonly cache: boolean;
    /** A run outlives the process that started it, and `start` finds it again. */
    readonly adopt: boolean;
  };
  /** Starts the build of (buildId, attempt), or adopts the one already running under that name. */
  start(job: BuildJob, call: Call): Promise<BuildRun>;
  /**
   * The runs that are there, whichever process started them, so that those are found whose build is over. May lag
   * behind. Only where `supports.adopt`.
   */
  listRuns?(call: Call): Promise<readonly RunName[]>;
  /** Ends a run and removes what is left of it, whichever process started it. Idempotent. Only with `listRuns`. */
  endRun?(run: RunName, call: Call): Promise<void>;
}
