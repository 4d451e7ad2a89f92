import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createServerProcess } from '../../examples/demo/src/server-process.ts';
import { runSchemathesis } from './schemathesis.ts';

/** The API as its document describes it, under requests that schemathesis makes up from that document. */
const { values } = parseArgs({ options: { seconds: { type: 'string', default: '300' } } });
const seconds = Number(values.seconds);
if (!Number.isInteger(seconds) || seconds < 1) throw new Error('--seconds must be a whole number');

const directory = await mkdtemp(join(tmpdir(), 'cygni-fuzz-'));
const server = createServerProcess(directory, {
  BUILD_ENGINE: 'assemble',
  DEPLOY_RUNTIME: 'namespaces',
  LOG_LEVEL: 'warn',
  RATE_LIMIT_PER_TENANT: '100000000',
  RATE_LIMIT_PER_TOKEN: '100000000',
});
try {
  const { url, token } = await server.start(AbortSignal.timeout(90_000));
  process.exitCode = await runSchemathesis({ url, token, seconds });
} finally {
  await server.stop();
  await rm(directory, { recursive: true, force: true });
}
