import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRegistryServer } from '@cygni/registry-oci';
import { buildSuite } from './build-suite.ts';
import { runSuite } from './run-suite.ts';

/** Runs the OCI distribution-spec conformance suite against the embedded registry, behind Basic credentials. */
const print = (line: string) => process.stdout.write(`${line}\n`);
const credentials = { username: 'conformance', password: 'not-a-secret' };
const header = `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`;

const directory = await mkdtemp(join(tmpdir(), 'cygni-conformance-'));
try {
  const suite = await buildSuite();
  if (suite === undefined) {
    print('SKIPPED: Go 1.24 or newer is not installed, so the conformance suite cannot be built');
    process.exitCode = process.env.CI ? 1 : 0;
  } else {
    process.exitCode = (await judge(suite)) ? 0 : 1;
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}

async function judge(suite: string): Promise<boolean> {
  await using registry = createRegistryServer({
    directory: join(directory, 'registry'),
    authorize: async ({ authorization }) =>
      authorization === header ? 'allow' : 'unauthenticated',
  });
  const http = createServer({ requestTimeout: 0 }, registry.handle);
  const { promise: listening, resolve } = Promise.withResolvers<void>();
  http.listen(0, '127.0.0.1', resolve);
  await listening;
  try {
    const address = http.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const results = join(directory, 'results');
    const verdict = await runSuite(suite, { host: `127.0.0.1:${port}`, results, ...credentials });
    for (const line of verdict.lines) print(line);
    return verdict.passed;
  } finally {
    http.close();
    http.closeAllConnections();
  }
}
