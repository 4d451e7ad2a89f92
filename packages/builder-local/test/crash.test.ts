import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLocalPipeline } from '@cygni/builder-local';
import { createImageClient } from '@cygni/registry-oci';
import { expect, it } from 'vitest';
import { call } from './support/build.ts';
import { engineIsHere } from './support/engine-is-here.ts';
import { useEngines } from './support/engines.ts';
import { waitFor } from './support/wait-for.ts';

useEngines();
const mark = 'crashed-build.js';

it.runIf(engineIsHere('buildah'))(
  'what a killed process was building is ended and removed by the next one',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'cygni-crash-'));
    const script = fileURLToPath(new URL('./support/hanging-build.ts', import.meta.url));
    const child = spawn(process.execPath, ['--conditions=cygni-source', script, directory, mark], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    await waitFor(() => isBuilding());
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(isBuilding()).toBe(true);

    await using images = createImageClient();
    const pipeline = createLocalPipeline({ engine: 'buildah', images, directory });
    await pipeline.open(call());
    await waitFor(() => !isBuilding());
    expect(await readFile('/proc/mounts', 'utf8')).not.toContain(directory);
    expect(await readdir(directory)).toHaveLength(1);
    await pipeline.close();
    await rm(directory, { recursive: true, force: true });
  },
);

function isBuilding(): boolean {
  return execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
    .split('\n')
    .some((line) => line.startsWith('/esbuild') && line.includes(mark));
}
