import { join } from 'node:path';
import { pino } from 'pino';
import { readConfiguration } from './configuration.ts';
import { startServer } from './server.ts';

const hardStopMs = 4_800;

const result = readConfiguration(process.env);
if (!result.ok) {
  for (const problem of result.problems) console.error(problem);
  process.exit(1);
}
const { configuration } = result;
const log = pino({ level: configuration.logLevel, base: { service: 'cygni' } });

const stopping = new Promise<string>((resolve) => {
  process.on('SIGTERM', resolve);
  process.on('SIGINT', resolve);
  // Whoever started this process with a channel to it (the demo) has gone.
  process.on('disconnect', () => resolve('disconnect'));
});

try {
  const server = await startServer(configuration, log);
  log.info(
    { url: server.url, tokenFile: join(configuration.dataDirectory, 'token') },
    `listening on ${server.url}`,
  );
  process.send?.({ url: server.url });
  const reason = await stopping;
  log.info({ reason }, 'shutting down');
  setTimeout(() => {
    log.error({}, 'the shutdown took too long');
    process.exit(0);
  }, hardStopMs).unref();
  await server.close();
  log.info({}, 'stopped');
  process.exit(0);
} catch (err) {
  log.fatal({ err }, 'the server could not start, or failed');
  process.exit(1);
}
