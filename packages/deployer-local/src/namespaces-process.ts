import { type ChildProcess, spawn } from 'node:child_process';
import { chown, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Duplex, type Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { abortedError, CygniError } from '@cygni/core';
import { createLineReader } from './control-line.ts';
import { describeExit } from './exit-reason.ts';
import type { IdMap } from './id-map.ts';
import type { ImageCommand } from './image-command.ts';
import { gateScript, initScript, mappedScript, stageScript } from './launch-scripts.ts';
import { identify, isAlive, type ProcessIdentity, signalProcess } from './process-identity.ts';
import type { ImageUser } from './resolve-user.ts';
import type { RunningProcess } from './runtime.ts';

export interface NamespacesLaunch {
  readonly root: string;
  readonly directory: string;
  readonly command: ImageCommand;
  readonly user: ImageUser;
  readonly ids: IdMap;
  readonly onCreated: (identity: ProcessIdentity) => Promise<void>;
  readonly signal: AbortSignal;
}

const setUpTimeoutMs = 20_000;
const pollMs = 50;

/** Only paths of the system: what follows runs its tools, and none of the image's or the user's environment. */
export const toolEnvironment = {
  PATH: `/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:${process.env.PATH ?? ''}`,
};

export const logOf = (directory: string) => join(directory, 'log');
const statusOf = (directory: string) => join(directory, 'status');

/**
 * Starts an image's command in namespaces of its own. See launch-scripts.ts for how.
 * @throws `internal` with what the tools said if the set-up fails, `timeout`, `aborted`
 */
export async function startInNamespaces(launch: NamespacesLaunch): Promise<RunningProcess> {
  const { directory, ids, user } = launch;
  await writeFile(statusOf(directory), '', { mode: 0o600 });
  const log = await open(logOf(directory), 'a', 0o600);
  const status = await open(statusOf(directory), 'a', 0o600);
  let child: ChildProcess;
  try {
    if (ids.kind === 'range') {
      // /dev/stdout opens the log anew, as the image's user.
      await chown(logOf(directory), ids.first + user.uid, ids.first + user.gid);
    }
    const [file, ...parameters] = commandLine(launch);
    child = spawn(file, parameters, {
      cwd: '/',
      env: toolEnvironment,
      stdio: ['ignore', log.fd, 'pipe', 'pipe', 'pipe', status.fd],
      // A Ctrl-C at the terminal is for this process, which ends its instances in order.
      detached: true,
    });
  } finally {
    await log.close();
    await status.close();
  }
  return supervise(child, launch);
}

/** The running process of an identity that was recorded earlier. */
export function adoptProcess(identity: ProcessIdentity, directory: string): RunningProcess {
  const exited = (async () => {
    while (isAlive(identity)) await sleep(pollMs * 4, undefined, { ref: false });
    return reasonOf(directory);
  })();
  return asRunning(identity, exited);
}

async function supervise(child: ChildProcess, launch: NamespacesLaunch): Promise<RunningProcess> {
  const [control, gate, errors] = socketsOf(child);
  const said = collectStart(errors);
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  let init: ProcessIdentity | undefined;
  const deadline = AbortSignal.any([launch.signal, AbortSignal.timeout(setUpTimeoutMs)]);
  const stop = () => {
    child.kill('SIGKILL');
    if (init) signalProcess(init, 'SIGKILL');
    control.destroy();
    gate.destroy();
  };
  deadline.addEventListener('abort', stop, { once: true });
  if (deadline.aborted) stop();
  try {
    const fromInit = createLineReader(control);
    const fromGate = createLineReader(gate);
    if (launch.ids.kind === 'range') {
      await expectLine(fromInit, 'unshared');
      const { first, count } = launch.ids;
      await writeFile(`/proc/${child.pid}/uid_map`, `0 ${first} ${count}\n`);
      await writeFile(`/proc/${child.pid}/gid_map`, `0 ${first} ${count}\n`);
      control.write('go\n');
    }
    init =
      identify(Number((await expectLine(fromInit, 'started ')).slice('started '.length))) ??
      undefined;
    if (!init) throw new CygniError('internal', 'the launcher ended early');
    await launch.onCreated(init);
    await expectLine(fromGate, 'waiting');
    control.write('go\n');
    await expectLine(fromInit, 'moved');
    const { argv, environment, workingDirectory } = launch.command;
    gate.end(JSON.stringify({ argv, environment, workingDirectory }));
    // A gate that finds nothing to execute has said so in the log, and its end is the instance's.
    await expectLine(fromGate, 'executing').catch(() => gone);
    deadline.throwIfAborted();
  } catch (cause) {
    stop();
    await gone;
    if (launch.signal.aborted) throw abortedError(launch.signal);
    if (deadline.aborted) throw new CygniError('timeout', 'the namespaces took too long to set up');
    const detail = said().trim();
    throw new CygniError('internal', `namespaces cannot be set up${detail && `: ${detail}`}`, {
      cause,
    });
  } finally {
    deadline.removeEventListener('abort', stop);
    for (const stream of [control, gate, errors]) stream.destroy();
  }
  const identity = init;
  child.unref();
  const exited = gone.then(async () => {
    // Whoever ended only the outer process must not leave the inner ones to nobody.
    signalProcess(identity, 'SIGKILL');
    while (isAlive(identity)) await sleep(pollMs);
    return reasonOf(launch.directory);
  });
  return asRunning(identity, exited);
}

function asRunning(identity: ProcessIdentity, exited: Promise<string>): RunningProcess {
  return {
    record: { kind: 'namespaces', ...identity },
    exited,
    async stop(graceMs) {
      // Following an instance keeps no process alive, but this one must not leave while it ends one.
      const staying = setInterval(() => {}, 1_000);
      try {
        signalProcess(identity, 'SIGTERM');
        if (!(await endsWithin(identity, graceMs))) {
          // The init's end is the end of every process of its namespace.
          signalProcess(identity, 'SIGKILL');
          if (!(await endsWithin(identity, 5_000))) {
            throw new CygniError('internal', `process ${identity.pid} outlives SIGKILL`);
          }
        }
        await exited;
      } finally {
        clearInterval(staying);
      }
    },
  };
}

async function endsWithin(identity: ProcessIdentity, milliseconds: number): Promise<boolean> {
  const end = performance.now() + milliseconds;
  while (isAlive(identity)) {
    if (performance.now() >= end) return false;
    await sleep(pollMs);
  }
  return true;
}

/** The init writes its process's status last; without it, it was ended itself. */
async function reasonOf(directory: string): Promise<string> {
  const text = await readFile(statusOf(directory), 'latin1').catch(() => '');
  return text === '' ? 'signal SIGKILL' : describeExit(Number(text.trim()));
}

function commandLine({ root, ids, user }: NamespacesLaunch): [string, ...string[]] {
  const stage = ['sh', '-c', stageScript, 'sh', root, process.execPath];
  const namespaces = ['--mount', '--pid', '--ipc', '--fork', '--kill-child'];
  const init = ['sh', '-c', initScript, 'sh', ...gateCommand(ids, user)];
  if (ids.kind === 'single') {
    return ['unshare', '--user', '--map-root-user', ...namespaces, ...stage, ...init];
  }
  return [
    ...(['unshare', '--mount', ...stage] as const),
    ...['unshare', '--user', '--keep-caps', ...namespaces],
    ...['sh', '-c', mappedScript, 'sh', ...init],
  ];
}

function gateCommand(ids: IdMap, { uid, gid, groups }: ImageUser): string[] {
  const drop = ['--no-new-privs', '--inh-caps=-all', '--ambient-caps=-all', '--bounding-set=-all'];
  const gate = ['/sys/node', '--no-warnings', '-e', gateScript];
  if (ids.kind === 'range') {
    const extra = groups.length > 0 ? `--groups=${groups.join(',')}` : '--clear-groups';
    return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, extra, ...drop, ...gate];
  }
  if (uid === 0 && gid === 0) return ['setpriv', ...drop, ...gate];
  // One id is all there is, and the init needs it as root: the image's user gets it in a namespace below.
  const renamed = ['unshare', '--user', `--map-user=${uid}`, `--map-group=${gid}`, '--keep-caps'];
  return [...renamed, 'setpriv', ...drop, ...gate];
}

async function expectLine(reader: { next(): Promise<string> }, start: string): Promise<string> {
  const line = await reader.next();
  if (!line.startsWith(start)) throw new CygniError('internal', 'the launcher is out of step');
  return line;
}

function socketsOf(child: ChildProcess): [Duplex, Duplex, Readable] {
  const [, , , control, gate] = child.stdio;
  if (!(control instanceof Duplex) || !(gate instanceof Duplex) || !child.stderr) {
    throw new CygniError('internal', 'the launcher has no sockets');
  }
  return [control, gate, child.stderr];
}

function collectStart(stream: Readable): () => string {
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    if (text.length < 2000) text += chunk.toString('utf8');
  });
  return () => text.slice(0, 2000);
}
