import { type Call, CygniError } from '@cygni/core';
import type { EngineName } from '../options.ts';
import { probes } from './detect-engine.ts';
import { engineEnvironment } from './engine-environment.ts';
import { runProcess } from './run-process.ts';

const timeoutMs = 10_000;

/** @throws `unavailable` unless the engine answers within 10 s */
export async function checkEngine(
  name: Exclude<EngineName, 'assemble'>,
  call: Call,
): Promise<void> {
  const lines: string[] = [];
  try {
    const { exitCode } = await runProcess({
      command: name,
      arguments: probes[name],
      environment: engineEnvironment(),
      directory: '/',
      onLine: async (line) => {
        if (lines.length < 10) lines.push(line);
      },
      signal: AbortSignal.any([call.signal, AbortSignal.timeout(timeoutMs)]),
    });
    if (exitCode === 0) return;
  } catch (cause) {
    if (call.signal.aborted) throw cause;
    throw new CygniError('unavailable', `${name} does not work on this machine`, { cause });
  }
  throw new CygniError(
    'unavailable',
    `${name} does not work on this machine: ${lines.join(' ').slice(0, 500)}`,
  );
}
