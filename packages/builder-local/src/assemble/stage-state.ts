import type { Descriptor, ImageConfig, ReadImage, RepositoryLocation } from '@cygni/core';
import { mediaTypes } from '@cygni/core';
import { cloneTree, createDirectory, type DirectoryNode } from '../files/tree.ts';
import type { ImageLayer } from '../image/built-image.ts';

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The part of an image's config that instructions change, in Docker's field names. */
interface ContainerConfig {
  User?: string;
  ExposedPorts?: Record<string, object>;
  Entrypoint?: readonly string[];
  Cmd?: readonly string[];
  Volumes?: Record<string, object>;
  WorkingDir?: string;
  Labels?: Record<string, string>;
  StopSignal?: string;
  Shell?: readonly string[];
  OnBuild?: readonly string[];
  Healthcheck?: object;
}

/** What a stage is after the instructions done so far. */
export interface StageState {
  readonly root: DirectoryNode;
  /** Layers of the base image that `root` does not hold yet: they are read when a file is needed. */
  readonly unread: { readonly location: RepositoryLocation; readonly layer: Descriptor }[];
  readonly layers: ImageLayer[];
  readonly history: object[];
  /** ENV. */
  readonly environment: Map<string, string>;
  /** ARG. */
  readonly arguments: Map<string, string>;
  readonly config: ContainerConfig;
  /** Whether this stage, not its base, has set CMD. */
  hasCommand: boolean;
  author: string | undefined;
}

export function scratchState(): StageState {
  return {
    root: createDirectory(),
    unread: [],
    layers: [],
    history: [],
    environment: new Map([['PATH', defaultPath]]),
    arguments: new Map(),
    config: { WorkingDir: '/' },
    hasCommand: false,
    author: undefined,
  };
}

export function stateFromStage(base: StageState): StageState {
  return {
    root: cloneTree(base.root),
    unread: [...base.unread],
    layers: [...base.layers],
    history: [...base.history],
    environment: new Map(base.environment),
    arguments: new Map(),
    config: structuredClone(base.config),
    hasCommand: false,
    author: base.author,
  };
}

export function stateFromImage(image: ReadImage, location: RepositoryLocation): StageState {
  const { manifest, config } = image;
  return {
    root: createDirectory(),
    unread: manifest.layers.map((layer) => ({ location, layer })),
    layers: manifest.layers.map((layer, index) => ({
      descriptor: { ...layer, mediaType: ociMediaType(layer.mediaType) },
      diffId: config.rootfs.diff_ids[index] ?? '',
      path: undefined,
      from: location,
    })),
    history: [...(config.history ?? [])],
    environment: readEnvironment(config),
    arguments: new Map(),
    config: readContainerConfig(config),
    hasCommand: false,
    author: typeof config.author === 'string' ? config.author : undefined,
  };
}

function ociMediaType(mediaType: string): string {
  return mediaType === mediaTypes.dockerLayerGzip ? mediaTypes.ociLayerGzip : mediaType;
}

function readEnvironment({ config }: ImageConfig): Map<string, string> {
  return new Map(
    (config?.Env ?? []).map((each) => {
      const at = each.indexOf('=');
      return at < 0 ? [each, ''] : [each.slice(0, at), each.slice(at + 1)];
    }),
  );
}

function readContainerConfig({ config }: ImageConfig): ContainerConfig {
  const result: ContainerConfig = {};
  if (!config) return result;
  if (config.User) result.User = config.User;
  if (config.ExposedPorts) result.ExposedPorts = { ...config.ExposedPorts };
  if (config.Entrypoint) result.Entrypoint = config.Entrypoint;
  if (config.Cmd) result.Cmd = config.Cmd;
  if (config.Volumes) result.Volumes = { ...config.Volumes };
  if (config.WorkingDir) result.WorkingDir = config.WorkingDir;
  if (config.Labels) result.Labels = { ...config.Labels };
  if (config.StopSignal) result.StopSignal = config.StopSignal;
  if (config.Shell) result.Shell = config.Shell;
  if (config.OnBuild) result.OnBuild = config.OnBuild;
  const healthcheck = config.Healthcheck;
  if (typeof healthcheck === 'object' && healthcheck !== null) result.Healthcheck = healthcheck;
  return result;
}
