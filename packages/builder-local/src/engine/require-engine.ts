import { CygniError } from '@cygni/core';
import type { EngineName } from '../options.ts';
import { probeEngine } from './probe-engine.ts';

/** @throws `unavailable` unless the engine works on this machine, RUN included */
export function requireEngine(name: Exclude<EngineName, 'assemble'>): void {
  const failure = probeEngine(name);
  if (failure === null) return;
  const hint =
    name === 'docker'
      ? ''
      : '. Where its runtime cannot make containers, BUILDAH_ISOLATION=chroot may help: RUN then shares the processes and the network of this machine, so only for tenants you trust';
  throw new CygniError('unavailable', `${name} does not work on this machine: ${failure}${hint}`);
}
