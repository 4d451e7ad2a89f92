import { once } from 'node:events';
import { flushCompileCache } from 'node:module';
import { isCygniError } from '@cygni/core';
import {
  type Configuration,
  configurationSchema,
  exitCodes,
  orderSchema,
  splitLines,
} from '../messages.ts';
import { pathsIn } from '../paths.ts';
import { createRandom } from '../random.ts';
import { openTrace } from '../trace.ts';
import { compose, type Parts } from './compose.ts';
import { createFaults, type Faults, report } from './faults.ts';
import { stderrLog as log } from './log-to-stderr.ts';
import { serveApi } from './serve-api.ts';

const openTimeoutMs = 20_000;
const stopTimeoutMs = 12_000;

/** One process of the run, in the one role that the first line of its input names. */
const stopping = once(process, 'SIGTERM');
// A terminal's Ctrl-C reaches this process too, but the harness ends it.
process.on('SIGINT', () => {});
process.stdin.setEncoding('utf8');
process.stdin.on('end', () => process.exit(exitCodes.crashed));

let faults: Faults | undefined;
process.stdin.on(
  'data',
  splitLines((line) => {
    const said: unknown = JSON.parse(line);
    if (faults) obey(faults, said);
    else faults = begin(configurationSchema.parse(said));
  }),
);

function obey(ordered: Faults, said: unknown): void {
  const order = orderSchema.parse(said);
  if (order.do === 'arm') ordered.arm(order.plan);
  else ordered.calm();
}

function begin(configuration: Configuration): Faults {
  const random = createRandom(configuration.seed);
  const created = createFaults(random);
  const trace = openTrace(pathsIn(configuration.directory).trace);
  const parts: Parts = { trace, faults: created, random, log };
  // What it rejects with ends the process with code 1, which the harness takes for the bug that it is.
  void work(configuration, parts);
  return created;
}

async function work(configuration: Configuration, parts: Parts): Promise<void> {
  const { role } = configuration;
  const { platform, closePool } = compose(configuration, parts);
  try {
    await platform.open(AbortSignal.timeout(openTimeoutMs));
  } catch (err) {
    if (!isCygniError(err) || !err.retryable) throw err;
    log.warn({ err }, 'the database is away; somebody has to start this process again');
    process.exit(exitCodes.notOpened);
  }
  flushCompileCache();
  const api = role === 'api' ? await serveApi(platform, log) : null;
  if (role !== 'api') {
    void platform.run({ roles: [role], signal: platform.stopping });
  }
  report({ is: 'ready', port: api?.port ?? null });
  await stopping;
  setTimeout(() => process.exit(exitCodes.didNotStop), stopTimeoutMs).unref();
  await platform.stop();
  await api?.close();
  await platform.close();
  await closePool();
  process.exit(exitCodes.stopped);
}
