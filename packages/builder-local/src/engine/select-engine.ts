import type { EngineName } from '../options.ts';
import { createAssembleEngine } from './assemble.ts';
import { createContainersEngine } from './containers.ts';
import { createDockerEngine } from './docker.ts';
import type { Engine } from './engine.ts';

export function selectEngine(name: EngineName): Engine {
  switch (name) {
    case 'assemble':
      return createAssembleEngine();
    case 'docker':
      return createDockerEngine('docker');
    case 'podman':
      // Elsewhere podman is a client of a Linux machine, whose storage cannot be chosen from here.
      return process.platform === 'linux'
        ? createContainersEngine('podman')
        : createDockerEngine('podman');
    case 'buildah':
      return createContainersEngine('buildah');
  }
}
