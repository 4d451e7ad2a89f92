import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('dying-consumer.ts', import.meta.url));

/** Starts a consumer in a process of its own, and kills it when it has a message in hand. */
export async function loseConsumer(url: string, prefix: string): Promise<void> {
  const child = spawn(process.execPath, ['--conditions=cygni-source', program, url, prefix], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(child.stdout, 'data', { signal: AbortSignal.timeout(20_000) });
  } finally {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
}
