import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const version = '4.32.5';
const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
const installed = join(cache, 'cygni', `schemathesis-${version}`);
const settings = fileURLToPath(new URL('schemathesis.toml', import.meta.url));
const hooks = fileURLToPath(new URL('.', import.meta.url));

/** Outside the checkout, and installed once. */
async function install(): Promise<string> {
  const program = join(installed, 'bin', 'schemathesis');
  if (await stat(program).catch(() => undefined)) return program;
  await mkdir(dirname(installed), { recursive: true });
  try {
    await run('python3', ['-m', 'venv', installed], { timeout: 60_000 });
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
    const python = join(installed, 'bin', 'python');
    await run(python, [...pip, `schemathesis==${version}`], { timeout: 240_000 });
    return program;
  } catch (error) {
    await rm(installed, { recursive: true, force: true });
    throw error;
  }
}

/** Returns its exit code: 0 without a finding. */
export async function runSchemathesis(options: {
  readonly url: string;
  readonly token: string;
  readonly seconds: number;
}): Promise<number> {
  const program = await install();
  const child = spawn(
    program,
    [
      ...['--config-file', settings],
      ...['run', `${options.url}/openapi.json`],
      ...['--max-time', String(options.seconds)],
    ],
    {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: {
        ...process.env,
        CYGNI_TOKEN: options.token,
        PYTHONPATH: hooks,
        SCHEMATHESIS_HOOKS: 'hooks',
        COLUMNS: '120',
      },
      cwd: cache,
    },
  );
  const [code]: unknown[] = await once(child, 'exit');
  return typeof code === 'number' ? code : 1;
}
