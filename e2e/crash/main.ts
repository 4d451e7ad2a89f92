import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CrashTestOptions, parseOptions } from './options.ts';
import { report } from './report.ts';
import { run } from './run.ts';

const print = (line: string) => process.stdout.write(`${line}\n`);
const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => interrupted.abort());
}

let options: CrashTestOptions;
try {
  options = parseOptions(process.argv.slice(2));
} catch (error) {
  print(error instanceof Error ? error.message : String(error));
  process.exit(2);
}

const directory = await mkdtemp(join(tmpdir(), 'cygni-crash-'));
try {
  const outcome = await run(options, directory, interrupted.signal);
  process.exitCode = report(outcome, print) ? 0 : 1;
} catch (error) {
  process.exitCode = interrupted.signal.aborted ? 130 : 1;
  if (interrupted.signal.aborted) print('interrupted');
  else
    print(`the run failed, seed ${options.seed}: ${error instanceof Error ? error.stack : error}`);
} finally {
  if (options.keep) print(`kept: ${directory}`);
  else await rm(directory, { recursive: true, force: true });
}
