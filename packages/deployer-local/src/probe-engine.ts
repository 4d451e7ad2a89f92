import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Call, CygniError } from '@cygni/core';
import { staticProgram } from '@cygni/core/container-engine';
import { pack } from 'tar-stream';
import { type Engine, isolationOf } from './container-isolation.ts';
import { runCommand } from './run-command.ts';

const timeoutMs = 30_000;

/**
 * Finds out whether an engine can do what is asked of it later, by doing it: a client may have no daemon, and
 * a runtime may be unable to make containers on this machine.
 * @throws `unsupported`, with what the engine said
 */
export async function probeEngine(
  engine: Engine,
  directory: string,
  environment: NodeJS.ProcessEnv,
  { signal }: Call,
): Promise<void> {
  const run = async (...parameters: string[]) => {
    const result = await runCommand([engine, ...parameters], { signal, timeoutMs, environment });
    if (result.code === 0) return;
    const said = result.stderr.trim().slice(-300);
    throw new CygniError('unsupported', `${engine} does not work here: ${said}`);
  };
  await run('info');
  const program = staticProgram();
  if (!program) return;
  const name = `cygni-probe-${randomUUID()}`;
  const archive = join(directory, `${name}.tmp`);
  const tar = pack();
  tar.entry({ name: 'probe', mode: 0o755 }, program);
  tar.finalize();
  try {
    await pipeline(tar, createWriteStream(archive, { mode: 0o600 }));
    await run('import', archive, `${name}:latest`);
    const options = ['--rm', `--name=${name}`, ...isolationOf(engine, 1)];
    await run('run', ...options, '--entrypoint=/probe', `${name}:latest`);
  } finally {
    const tidying = { timeoutMs, environment };
    await rm(archive, { force: true });
    await runCommand([engine, 'rm', '--force', name], tidying);
    await runCommand([engine, 'image', 'rm', '--force', `${name}:latest`], tidying);
  }
}
