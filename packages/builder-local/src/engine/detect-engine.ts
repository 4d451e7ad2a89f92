import { type EngineName, engineNames } from '../options.ts';
import { probeEngine } from './probe-engine.ts';

/**
 * The first of docker, podman and buildah that works on this machine, RUN included, else `assemble`.
 * Synchronous, so that a factory can state what it supports; takes about a second for each that is
 * installed, and at most 20 s for each that hangs.
 */
export function detectEngine(): EngineName {
  return (
    engineNames.find((name) => name === 'assemble' || probeEngine(name) === null) ?? 'assemble'
  );
}
