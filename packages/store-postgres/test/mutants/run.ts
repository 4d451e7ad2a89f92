import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startEmbeddedPostgres } from '@cygni/store-postgres/embedded';
import { z } from 'zod';
import { mutants } from './list.ts';
import { describeMutant, type Mutant } from './mutant.ts';
import { patternOf, readRecorded, testsOf } from './recorded.ts';

/**
 * Runs the tests of the store against each mutant. Words on the command line choose the mutants whose place or change
 * has one of them. Fails unless every mutant that is not equivalent makes a test fail.
 */

const root = fileURLToPath(new URL('../../../..', import.meta.url));
const config = fileURLToPath(new URL('./vitest.config.ts', import.meta.url));
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const atOnce = 2;
const timeoutMs = 240_000;

const reportSchema = z.object({
  numTotalTests: z.int(),
  testResults: z.array(
    z.object({
      message: z.string(),
      assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })),
    }),
  ),
});

interface Run {
  readonly passed: boolean;
  /** The names of the tests that failed. */
  readonly failed: readonly string[];
  /** All that was printed, for where something else went wrong. */
  readonly output: string;
}

const children = new Set<number>();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const pid of children) process.kill(pid, 'SIGTERM');
    process.exitCode = 130;
    stopped = true;
  });
}
let stopped = false;

const directory = await mkdtemp(join(tmpdir(), 'cygni-mutants-'));
const given = process.env.DATABASE_URL;
const server = given
  ? null
  : await startEmbeddedPostgres({ directory: join(directory, 'postgres'), durable: false });
const url = server?.url ?? given ?? '';
try {
  await main();
} finally {
  await server?.close();
  await rm(directory, { recursive: true, force: true });
}

async function main(): Promise<void> {
  const words = process.argv.slice(2);
  const chosen = [...mutants.entries()].filter(
    ([, mutant]) =>
      mutant.equivalent === undefined &&
      (words.length === 0 || words.some((word) => `${mutant.place} ${mutant.find}`.includes(word))),
  );
  const began = performance.now();

  const list = await run('list', ['list.check'], {});
  if (!list.passed) return fail('the list does not fit the SQL', list);
  const record = join(directory, 'recorded.jsonl');
  const sound = await run('sound', ['.test.ts'], { CYGNI_RECORD: record });
  if (!sound.passed) return fail('the tests fail without any mutant', sound);
  const recorded = readRecorded(await readFile(record, 'utf8'));
  print(`without a mutant, the tests pass: ${seconds(began)}`);

  const survivors: Mutant[] = [];
  let killed = 0;
  const queue = [...chosen];
  async function work(): Promise<void> {
    for (let next = queue.shift(); next && !stopped; next = queue.shift()) {
      const [index, mutant] = next;
      const start = performance.now();
      const tests = testsOf(mutant, recorded);
      const mark = join(directory, `mutant-${index}.at-work`);
      const result = await run(`mutant-${index}`, ['--bail=1', '.test.ts'], {
        CYGNI_AT_WORK: mark,
        CYGNI_MUTANT: JSON.stringify(mutant),
        ...(tests && { CYGNI_TESTS: patternOf(tests) }),
      });
      if (stopped) return;
      if (!existsSync(mark)) throw new Error(`it was never at work: ${describeMutant(mutant)}`);
      if (result.passed) {
        survivors.push(mutant);
        print(`SURVIVED ${mutant.place}: ${describeMutant(mutant)} (${mutant.why})`);
      } else if (result.failed.length > 0) {
        killed += 1;
        print(
          `killed ${mutant.place}: ${describeMutant(mutant)}; by: ${result.failed[0]} (${seconds(start)})`,
        );
      } else {
        throw new Error(`no test said anything of ${mutant.place}: ${result.output}`);
      }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work));

  for (const { place, why, ...mutant } of survivors) {
    print(
      `survived: ${place}: ${describeMutant({ place, why, ...mutant })}: no test sees that ${why}`,
    );
  }
  const equivalent = mutants.filter((mutant) => mutant.equivalent !== undefined).length;
  print(
    `${killed} killed, ${survivors.length} survived, ${equivalent} equivalent, in ${seconds(began)}`,
  );
  if (survivors.length > 0 || stopped) process.exitCode ||= 1;
}

async function run(
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Run> {
  const report = join(directory, `${name}.json`);
  const child = spawn(
    process.execPath,
    [vitest, 'run', '--config', config, '--reporter=json', `--outputFile=${report}`, ...args],
    {
      cwd: root,
      env: {
        ...process.env,
        DATABASE_URL: url,
        CYGNI_MODULES: join(directory, 'modules'),
        CI: '1',
        CYGNI_HISTORIES: '60',
        CYGNI_SEED: '1',
        CYGNI_SHRINK: 'no',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
    },
  );
  const { pid } = child;
  if (pid !== undefined) children.add(pid);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output = `${output}${chunk}`.slice(-20_000);
    });
  }
  const [code] = await once(child, 'close');
  if (pid !== undefined) children.delete(pid);
  const text = await readFile(report, 'utf8').catch(() => null);
  if (text === null) return { passed: false, failed: [], output };
  const { testResults } = reportSchema.parse(JSON.parse(text));
  const failed = testResults.flatMap(({ assertionResults }) =>
    assertionResults.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName),
  );
  const failedFiles = testResults.flatMap(({ message }) => (message === '' ? [] : [message]));
  return { passed: code === 0, failed: [...failed, ...failedFiles], output };
}

function fail(why: string, { failed, output }: Run): void {
  print(`${why}: ${failed.join('\n') || output}`);
  process.exitCode = 1;
}

function print(line: string): void {
  process.stdout.write(`${line.replaceAll(/\s+/g, ' ')}\n`);
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1_000).toFixed(1)} s`;
}
