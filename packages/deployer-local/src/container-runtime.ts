import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Call, CygniError, type RepositoryLocation } from '@cygni/core';
import { engineEnvironment } from '@cygni/core/container-engine';
import pRetry from 'p-retry';
import { type Engine, isolationOf } from './container-isolation.ts';
import { followContainer } from './container-process.ts';
import { mergeLogs } from './merge-logs.ts';
import { probeEngine } from './probe-engine.ts';
import { type CommandResult, runCommand } from './run-command.ts';
import type { LaunchPlan, Runtime } from './runtime.ts';

const shortMs = 30_000;
const pullMs = 30 * 60_000;
const prefix = 'cygni-';
const instanceLabel = 'dev.cygni.instance';
const directoryLabel = 'dev.cygni.directory';

/**
 * Runs images as containers. On Linux they have the machine's own network, as instances in namespaces have;
 * elsewhere their port is published on loopback.
 * @throws `unsupported` unless the engine answers
 */
export async function openContainerRuntime(
  engine: Engine,
  directory: string,
  call: Call,
): Promise<Runtime> {
  const environment = await environmentOf(engine, call);
  await probeEngine(engine, directory, environment, call);
  const owner = createHash('sha256').update(directory).digest('hex').slice(0, 32);
  const nameOf = (instanceId: string) => `${prefix}${instanceId}`;

  const run = (parameters: readonly string[], signal: AbortSignal, timeoutMs = shortMs) =>
    runCommand([engine, ...parameters], { signal, timeoutMs, environment });
  const must = async (parameters: readonly string[], signal: AbortSignal, timeoutMs?: number) =>
    check(engine, await run(parameters, signal, timeoutMs));

  return {
    name: engine,

    async fetchImage(image, location, { signal }) {
      const reference = referenceOf(location, image.digest);
      if ((await run(['image', 'inspect', reference], signal)).code === 0) return;
      await withAuthentication(engine, directory, location, (options) =>
        pRetry(
          () =>
            must(
              [...options.global, 'pull', '--quiet', ...options.pull, reference],
              signal,
              pullMs,
            ),
          {
            retries: 3,
            minTimeout: 500,
            maxTimeout: 5_000,
            randomize: true,
            signal,
          },
        ),
      );
    },

    async start(plan, { signal }) {
      const name = nameOf(plan.instanceId);
      const record = { kind: 'container', engine, name } as const;
      const labels = [`${instanceLabel}=${plan.instanceId}`, `${directoryLabel}=${owner}`];
      const secrets = await writeEnvironment(plan, environment);
      try {
        await runCommand(
          [engine, ...createArguments(engine, plan, name, labels, secrets.parameters)],
          {
            signal,
            timeoutMs: shortMs,
            environment: secrets.environment,
          },
        ).then((result) => check(engine, result));
      } finally {
        await rm(secrets.file, { force: true });
      }
      try {
        await plan.onCreated(record);
        await must(['start', name], signal);
      } catch (error) {
        // A name that is taken would be in the way of the next try.
        await run(['rm', '--force', '--volumes', name], AbortSignal.timeout(shortMs));
        throw error;
      }
      return followContainer(engine, name, environment);
    },

    async find(record, _directory, { signal }) {
      if (record.kind !== 'container' || record.engine !== engine) return null;
      const found = await run(['inspect', '--format', '{{.State.Running}}', record.name], signal);
      return found.stdout.trim() === 'true'
        ? followContainer(engine, record.name, environment)
        : null;
    },

    async tailLog({ id }, lines, { signal }) {
      const parameters = ['logs', '--timestamps', '--tail', String(lines), nameOf(id)];
      const { code, stdout, stderr } = await run(parameters, signal);
      return code === 0 ? mergeLogs([stdout, stderr], lines) : [];
    },

    async discard(instanceId, { withImage }, { signal }) {
      const name = nameOf(instanceId);
      const image = await run(['inspect', '--format', '{{.Config.Image}}', name], signal);
      await run(['rm', '--force', '--volumes', name], signal);
      // The engine refuses while another container uses it, which is what is wanted.
      if (withImage && image.code === 0) await run(['image', 'rm', image.stdout.trim()], signal);
    },

    async prune(kept, { signal }) {
      const filter = ['--filter', `label=${directoryLabel}=${owner}`];
      const format = ['--format', `{{.Names}}`];
      const names = (await must(['ps', '--all', ...filter, ...format], signal)).stdout.split('\n');
      for (const name of names.filter((each) => each.startsWith(prefix))) {
        if (kept.instance(name.slice(prefix.length))) continue;
        await run(['rm', '--force', '--volumes', name], signal);
      }
    },
  };
}

/** A `--config` of our own for docker hides the user's context, which says where the daemon is. */
async function environmentOf(engine: Engine, call: Call): Promise<NodeJS.ProcessEnv> {
  // The context, which says where docker's daemon is, may be chosen there.
  const { DOCKER_CONFIG } = process.env;
  const environment = engineEnvironment(DOCKER_CONFIG === undefined ? {} : { DOCKER_CONFIG });
  if (engine === 'podman' || environment.DOCKER_HOST !== undefined) return environment;
  const parameters = ['context', 'inspect', '--format', '{{.Endpoints.docker.Host}}'];
  const { code, stdout } = await runCommand(['docker', ...parameters], {
    signal: call.signal,
    timeoutMs: shortMs,
    environment,
  });
  const host = stdout.trim();
  return code === 0 && host !== '' ? { ...environment, DOCKER_HOST: host } : environment;
}

function createArguments(
  engine: Engine,
  { image, location, command, port }: LaunchPlan,
  name: string,
  labels: readonly string[],
  environment: readonly string[],
): string[] {
  const [entrypoint, ...rest] = command.argv;
  return [
    ...['create', `--name=${name}`, ...labels.map((label) => `--label=${label}`)],
    ...isolationOf(engine, port),
    ...environment,
    // The image's own entry point would come once more.
    `--entrypoint=${entrypoint}`,
    referenceOf(location, image.digest),
    ...rest,
  ];
}

/** Values go through a file, or where they hold a line break through the client's environment: never an argument. */
async function writeEnvironment({ command, directory }: LaunchPlan, base: NodeJS.ProcessEnv) {
  const entries = Object.entries(command.environment);
  const single = entries.filter(([, value]) => !/[\r\n]/.test(value));
  const several = entries.filter(([, value]) => /[\r\n]/.test(value));
  for (const [name] of several) {
    if (
      name in base ||
      /^(LD_|DOCKER|CONTAINER|PODMAN|STORAGE|TMPDIR|GO|HTTPS?_|NO_|XDG_)/i.test(name)
    ) {
      throw new CygniError(
        'unsupported',
        `${name} cannot hold a line break with a container engine`,
      );
    }
  }
  const file = join(directory, 'environment');
  const text = single.map(([name, value]) => `${name}=${value}\n`).join('');
  await writeFile(file, text, { mode: 0o600 });
  return {
    file,
    parameters: [`--env-file=${file}`, ...several.map(([name]) => `--env=${name}`)],
    environment: { ...base, ...Object.fromEntries(several) },
  };
}

async function withAuthentication<Value>(
  engine: Engine,
  directory: string,
  { host, insecure, credentials }: RepositoryLocation,
  use: (options: { global: readonly string[]; pull: readonly string[] }) => Promise<Value>,
): Promise<Value> {
  // The docker daemon itself decides where it speaks plain HTTP: to loopback, and where it is configured to.
  const transport = engine === 'podman' && insecure ? ['--tls-verify=false'] : [];
  if (!credentials) return use({ global: [], pull: transport });
  const folder = await mkdtemp(join(directory, 'auth-'));
  try {
    const auth = Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64');
    const file = join(folder, 'config.json');
    await writeFile(file, JSON.stringify({ auths: { [host]: { auth } } }), { mode: 0o600 });
    return await (engine === 'docker'
      ? use({ global: ['--config', folder], pull: transport })
      : use({ global: [], pull: [...transport, `--authfile=${file}`] }));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function referenceOf({ host, repository }: RepositoryLocation, digest: string): string {
  return `${host}/${repository}@${digest}`;
}

function check(engine: Engine, result: CommandResult): CommandResult {
  if (result.code === 0) return result;
  throw new CygniError('internal', `${engine}: ${result.stderr.trim().slice(-500)}`);
}
