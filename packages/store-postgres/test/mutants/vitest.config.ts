import { fileURLToPath } from 'node:url';
import { mergeConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification, type VitestPluginContext } from 'vitest/node';
import base from '../../../../vitest.config.ts';
import { isFile, markAtWork, mutate } from './mutant.ts';
import { activeMutant } from './seam.ts';

const pathOf = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const source = pathOf('../../src/');
const signature = 'export function statement(name: string, text: string): Statement {';

/** Quick ones first, and the properties, which need longest, at the end. */
const order = [
  'constraints',
  'rules',
  'migrations',
  'holds',
  'sweep',
  'isolation',
  'conformance',
  'races',
  'properties',
];
const { CYGNI_TESTS: pattern, CYGNI_MODULES: modules } = process.env;
const mutatedFile = activeMutant && isFile(activeMutant) ? source + activeMutant.place : null;

class FastFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) =>
      order.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
    return files.toSorted((left, right) => rank(left) - rank(right));
  }
}

/** Puts the active mutant into the sources as they are loaded; what is on the disk stays as it is. */
const mutant = {
  name: 'cygni-mutant',
  enforce: 'pre' as const,
  /** The cache must not give one mutant's file to another. All else is the same for each, and long in the making. */
  configureVitest({ defineCacheKeyGenerator }: VitestPluginContext) {
    defineCacheKeyGenerator(({ id }) => (id === mutatedFile ? false : 'mutants'));
  },
  transform(code: string, id: string) {
    if (id === `${source}statement.ts`) {
      if (!code.includes(signature)) throw new Error(`${id} does not hold: ${signature}`);
      const seam = JSON.stringify(pathOf('./seam.ts'));
      return code.replace(
        signature,
        `import { observe } from ${seam};
         export function statement(name: string, original: string): Statement {
           const text = observe(name, original);`,
      );
    }
    if (!activeMutant || id !== mutatedFile) return null;
    markAtWork();
    return mutate(code, activeMutant);
  },
};

const config = mergeConfig(base, { plugins: [mutant] });

export default {
  ...config,
  root: pathOf('../../../..'),
  test: {
    ...config.test,
    include: [
      'packages/store-postgres/test/mutants/list.check.ts',
      ...order.map((name) => `packages/store-postgres/test/${name}.test.ts`),
    ],
    ...(pattern && { testNamePattern: new RegExp(pattern) }),
    setupFiles: [pathOf('./record.ts')],
    globalSetup: [pathOf('../support/global-setup.ts')],
    fsModuleCache: modules !== undefined,
    ...(modules && { fsModuleCachePath: modules }),
    testTimeout: 20_000,
    maxWorkers: 1,
    isolate: false,
    sequence: { sequencer: FastFirst },
  },
};
