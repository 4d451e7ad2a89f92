import { type Call, CygniError, isCygniError } from '@cygni/core';
import { openContainerRuntime } from './container-runtime.ts';
import { openNamespacesRuntime } from './namespaces-runtime.ts';
import type { Settings } from './options.ts';
import type { Runtime } from './runtime.ts';

/**
 * The runtime that was asked for, or with `auto` the first that really works here.
 * @throws `unsupported`, saying what each of them lacks
 */
export async function openRuntime(settings: Settings, call: Call): Promise<Runtime> {
  const { runtime: wanted, directory, images } = settings;
  const open = (name: Exclude<Settings['runtime'], 'auto'>) =>
    name === 'namespaces'
      ? openNamespacesRuntime(directory, images, call)
      : openContainerRuntime(name, directory, call);
  if (wanted !== 'auto') return open(wanted);

  const reasons: string[] = [];
  for (const name of ['docker', 'podman', 'namespaces'] as const) {
    try {
      return await open(name);
    } catch (error) {
      if (call.signal.aborted || !isCygniError(error)) throw error;
      call.log.debug({ err: error, runtime: name }, 'runtime is not usable');
      reasons.push(`${name}: ${error.message}`);
    }
  }
  throw new CygniError('unsupported', `nothing can run images here. ${reasons.join('. ')}`);
}
