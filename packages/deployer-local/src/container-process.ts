import { spawn } from 'node:child_process';
import { CygniError } from '@cygni/core';
import type { Engine } from './container-isolation.ts';
import { describeExit } from './exit-reason.ts';
import { runCommand } from './run-command.ts';
import type { RunningProcess } from './runtime.ts';

const maximumCommandMs = 30_000;

/** Follows a container that was started until it exits. */
export function followContainer(
  engine: Engine,
  name: string,
  environment: NodeJS.ProcessEnv,
): RunningProcess {
  const exited = waitForExit(engine, name, environment);
  return {
    record: { kind: 'container', engine, name },
    exited,
    async stop(graceMs) {
      const seconds = String(Math.max(1, Math.ceil(graceMs / 1000)));
      const parameters = ['stop', '-t', seconds, name] as const;
      const options = { timeoutMs: maximumCommandMs, environment };
      const stopped = await runCommand([engine, ...parameters], options);
      if (stopped.code !== 0) {
        const killed = await runCommand([engine, 'rm', '--force', name], options);
        if (killed.code !== 0) {
          const said = killed.stderr.trim().slice(-300);
          throw new CygniError('internal', `${engine} cannot end a container: ${said}`);
        }
      }
      await exited;
    },
  };
}

function waitForExit(
  engine: Engine,
  name: string,
  environment: NodeJS.ProcessEnv,
): Promise<string> {
  const child = spawn(engine, ['wait', name], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: environment,
    detached: true,
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    if (output.length < 100) output += chunk.toString('latin1');
  });
  return new Promise((resolve) => {
    child.once('error', () => resolve(`${engine} cannot be run`));
    child.once('close', () => {
      const status = Number(output.trim() || Number.NaN);
      resolve(Number.isInteger(status) ? describeExit(status) : 'its container is gone');
    });
  });
}
