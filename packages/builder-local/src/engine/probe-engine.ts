import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { engineEnvironment, staticProgram } from '@cygni/core/container-engine';
import type { EngineName } from '../options.ts';

const answerMs = 5000;
const buildMs = 15_000;

/**
 * Whether an engine works here: docker's daemon answers; podman and buildah do a RUN, which fails where
 * namespaces, cgroups or the network are not as their runtime wants them.
 * @returns null if it does, else why not
 */
export function probeEngine(name: Exclude<EngineName, 'assemble'>): string | null {
  if (name === 'docker')
    return run('docker', ['version', '--format={{.Server.Version}}'], answerMs);
  const failure = run(name, ['--version'], answerMs);
  if (failure !== null || process.platform !== 'linux') return failure;
  const program = staticProgram();
  if (!program) return run(name, ['info'], answerMs);

  const directory = mkdtempSync(join(tmpdir(), 'cygni-'));
  try {
    const context = join(directory, 'context');
    mkdirSync(context);
    writeFileSync(join(context, 'true'), program, { mode: 0o755 });
    writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nCOPY true /true\nRUN ["/true"]\n');
    const storage = [
      `--root=${join(directory, 's')}`,
      `--runroot=${join(directory, 'r')}`,
      // Copies, and so leaves no mount behind.
      '--storage-driver=vfs',
    ];
    return run(name, [...storage, 'build', '--layers=false', '--', context], buildMs);
  } finally {
    remove(name, directory);
  }
}

function run(name: string, words: readonly string[], timeout: number): string | null {
  const { status, error, stderr } = spawnSync(name, words, {
    timeout,
    killSignal: 'SIGKILL',
    env: engineEnvironment(),
    encoding: 'utf8',
    maxBuffer: 1024 ** 2,
  });
  if (status === 0) return null;
  if (error)
    return 'code' in error && error.code === 'ENOENT' ? 'it is not installed' : error.message;
  return stderr.trim().split('\n').slice(-3).join('; ').slice(0, 1000) || `exit code ${status}`;
}

function remove(name: string, directory: string): void {
  try {
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  } catch {
    // Without root, files may belong to user numbers that only the engine's own namespace may touch.
    run(name, ['unshare', 'rm', '-rf', '--', directory], answerMs);
  }
}
