import { join } from 'node:path';
import { type Call, CygniError, type ImageClient } from '@cygni/core';
import { chooseIdMap } from './id-map.ts';
import { boundLog, tailLog } from './log-file.ts';
import { adoptProcess, logOf, startInNamespaces, toolEnvironment } from './namespaces-process.ts';
import { isAlive } from './process-identity.ts';
import { resolveUser } from './resolve-user.ts';
import { createRootStore } from './root-store.ts';
import { runCommand } from './run-command.ts';
import type { Runtime } from './runtime.ts';

const maximumLogBytes = 8 * 1024 * 1024;
const logCheckMs = 250;

/**
 * Runs images in Linux namespaces, without a container engine. The network is the machine's own.
 * @throws `unsupported` with what the system says if it does not let this user do so
 */
export async function openNamespacesRuntime(
  directory: string,
  images: ImageClient,
  call: Call,
): Promise<Runtime> {
  await probeNamespaces(call);
  const ids = chooseIdMap();
  const roots = createRootStore(join(directory, 'roots'), ids, images);

  return {
    name: 'namespaces',
    async fetchImage(image, location, fetching) {
      await roots.ensure(image, location, fetching);
    },
    async start({ image, location, directory: own, command, onCreated }, starting) {
      const root = await roots.ensure(image, location, starting);
      const user = await resolveUser(root, command.user);
      const running = await startInNamespaces({
        root,
        directory: own,
        command,
        user,
        ids,
        onCreated: (identity) => onCreated({ kind: 'namespaces', ...identity }),
        signal: starting.signal,
      });
      watchLog(logOf(own), running.exited);
      return running;
    },
    async find(record, own) {
      if (record.kind !== 'namespaces' || !isAlive(record)) return null;
      const { pid, startTime, bootId } = record;
      const running = adoptProcess({ pid, startTime, bootId }, own);
      watchLog(logOf(own), running.exited);
      return running;
    },
    tailLog: (instance, lines) => tailLog(logOf(instance.directory), lines),
    async discard() {},
    async prune(kept) {
      await roots.prune(kept.image);
    },
  };
}

function watchLog(path: string, exited: Promise<string>): void {
  let checking = false;
  const timer = setInterval(() => {
    if (checking) return;
    checking = true;
    // A full disk is no reason to end anything; the next check tries again.
    boundLog(path, maximumLogBytes)
      .catch(() => {})
      .finally(() => {
        checking = false;
      });
  }, logCheckMs);
  timer.unref();
  exited.finally(() => clearInterval(timer));
}

async function probeNamespaces(call: Call): Promise<void> {
  if (process.platform !== 'linux') {
    throw new CygniError(
      'unsupported',
      `namespaces need Linux, and this is ${process.platform}: install Docker or Podman and start it`,
    );
  }
  if (typeof process.execve !== 'function') {
    throw new CygniError('unsupported', 'namespaces need Node.js 22.15 or later');
  }
  const environment = toolEnvironment;
  for (const tool of ['setpriv', 'pivot_root', 'chroot', 'mount'] as const) {
    await runCommand([tool, '--version'], { timeoutMs: 10_000, environment, signal: call.signal });
  }
  const result = await runCommand(
    [
      ...(['unshare', '--user', '--map-root-user', '--mount', '--pid', '--fork'] as const),
      ...['--kill-child', '--mount-proc', 'true'],
    ],
    { timeoutMs: 10_000, environment, signal: call.signal },
  );
  if (result.code === 0) return;
  throw new CygniError(
    'unsupported',
    `this system does not let this user create namespaces (unshare said: ${result.stderr.trim().slice(0, 500)}); ` +
      'allow unprivileged user namespaces, or install Docker or Podman',
  );
}
