import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { program, startOptions } from './program.ts';

/** Starts the program once, without work, so that what it compiles is there for all that start later. */
export async function warmUp(compileCache: string): Promise<void> {
  const child = spawn(process.execPath, program, {
    ...startOptions(compileCache),
    stdio: 'ignore',
  });
  await once(child, 'close');
}
