import { userError } from '../build-fault.ts';
import type { StageState } from './stage-state.ts';

const maximumBytes = 4 * 1024 ** 2;

/** The image config as bytes; the same state always gives the same bytes. @throws BuildFault past 4 MiB */
export function writeConfig(
  state: StageState,
  platform: { readonly os: string; readonly architecture: string },
  created: string,
): Uint8Array {
  const { config } = state;
  const environment = [...state.environment].map(([name, value]) => `${name}=${value}`);
  const bytes = Buffer.from(
    JSON.stringify({
      created,
      author: state.author,
      architecture: platform.architecture,
      os: platform.os,
      config: {
        User: config.User,
        ExposedPorts: sorted(config.ExposedPorts),
        Env: environment.length > 0 ? environment : undefined,
        Entrypoint: filled(config.Entrypoint),
        Cmd: filled(config.Cmd),
        Volumes: sorted(config.Volumes),
        WorkingDir: config.WorkingDir,
        Labels: sorted(config.Labels),
        StopSignal: config.StopSignal,
        Healthcheck: config.Healthcheck,
        Shell: config.Shell,
        OnBuild: config.OnBuild,
      },
      rootfs: { type: 'layers', diff_ids: state.layers.map((layer) => layer.diffId) },
      history: state.history,
    }),
  );
  if (bytes.byteLength > maximumBytes) throw userError('the image config is larger than 4 MiB');
  return bytes;
}

function sorted<Value>(record: Record<string, Value> | undefined) {
  if (!record) return undefined;
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** `CMD []` takes a command away. */
function filled(words: readonly string[] | undefined) {
  return words && words.length > 0 ? words : undefined;
}
