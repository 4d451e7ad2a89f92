import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApiClient } from './api-client.ts';
import { packHelloSite } from './pack-source.ts';
import { createReport } from './report.ts';
import { createServerProcess } from './server-process.ts';
import { buildHelloSite, deployHelloSite, deploySickVersion, exceedBudget } from './story.ts';

const logLinesOnFailure = 20;
const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => interrupted.abort());
}

const directory = await mkdtemp(join(tmpdir(), 'cygni-demo-'));
const server = createServerProcess(directory);
const report = createReport();

try {
  await tellStory(interrupted.signal);
  report.table();
} catch (error) {
  process.exitCode = interrupted.signal.aborted ? 130 : 1;
  if (interrupted.signal.aborted) console.error('\ninterrupted');
  else await explain(error);
} finally {
  await server.stop();
  await rm(directory, { recursive: true, force: true });
}

async function tellStory(signal: AbortSignal): Promise<void> {
  const { url, token } = await report.step('Start the reference server', async () => {
    const started = await server.start(signal);
    report.say(`listening on ${started.url}, data in ${directory}`);
    return started;
  });
  signal.throwIfAborted();
  const api = createApiClient(url, token, signal);
  const build = await report.step('Build the hello-site', async () =>
    buildHelloSite(api, report, await packHelloSite(directory)),
  );
  const serviceUrl = await report.step('Deploy it', () => deployHelloSite(api, report, build));
  const { sourceId } = build;
  await report.step('Deploy a version that answers 500', () =>
    deploySickVersion(api, report, { url: serviceUrl, sourceId, signal }),
  );
  await report.step('Exceed the budget', () => exceedBudget(api, report, sourceId));
  await report.step('Stop the server and everything it runs', () => server.stop());
}

async function explain(error: unknown): Promise<void> {
  console.error(error);
  try {
    const log = await readFile(join(directory, 'server.log'), 'utf8');
    console.error('The end of the server’s log:');
    console.error(log.split('\n').slice(-logLinesOnFailure).join('\n'));
  } catch {
    // The server had not started; the error above says why.
  }
}
