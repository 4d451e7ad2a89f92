import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** The program that tests start servers with; null where there is none. */
    readonly redisServer: string | null;
    /** Of a Redis that runs already, where one was given or docker had to run it; else null. */
    readonly redisUrl: string | null;
  }
}

const run = promisify(execFile);
const image = 'redis:7';
const noRedis =
  'NO REDIS: its tests are skipped. Install redis-server; for some of them, set REDIS_URL, or install docker.';
const noProgram =
  'NO REDIS-SERVER: the tests of what happens when Redis fails are SKIPPED. Install redis-server.';

/**
 * A real Redis for a whole test run: REDIS_URL, else redis-server on the path, else by apt, else by docker. Tests of
 * faults need the program.
 * @throws in CI, where there is no program
 */
export default async function findRedis(
  project: TestProject,
): Promise<(() => Promise<void>) | undefined> {
  const given = process.env.REDIS_URL || null;
  const server = (await locate()) ?? (given === null ? await install() : null);
  const container = given === null && server === null ? await runContainer() : null;
  const url = given ?? container?.url ?? null;
  project.provide('redisServer', server);
  project.provide('redisUrl', url);
  if (server === null) {
    const line = url === null ? noRedis : noProgram;
    if (process.env.CI) {
      await container?.remove();
      throw new Error(line);
    }
    process.stderr.write(`${line}\n`);
  }
  return container?.remove;
}

async function locate(): Promise<string | null> {
  try {
    const { stdout } = await run('sh', ['-c', 'command -v redis-server']);
    return stdout.trim();
  } catch {
    return null;
  }
}

async function install(): Promise<string | null> {
  if (process.getuid?.() !== 0) return null;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    await run('apt-get', ['update', '-qq'], { timeout: 120_000 });
    await run('apt-get', ['install', '-y', '-qq', 'redis-server'], { env, timeout: 180_000 });
  } catch {
    return null;
  }
  return locate();
}

async function runContainer() {
  try {
    const started = await run('docker', ['run', '-d', '--rm', '-p', '127.0.0.1::6379', image], {
      timeout: 120_000,
    });
    const id = started.stdout.trim();
    const { stdout } = await run('docker', ['port', id, '6379/tcp']);
    const remove = async () => {
      await run('docker', ['rm', '-f', id]);
    };
    return { url: `redis://${stdout.trim()}`, remove };
  } catch {
    return null;
  }
}
