import { join } from 'node:path';
import type { Configuration } from './configuration.ts';
import { createLogger } from './logger.ts';
import { startServer } from './server.ts';
import { startTracing } from './tracing.ts';
import { version } from './version.ts';

const hardStopMs = 4_800;
const lastSpansMs = 500;

/** Runs the server until it is told to stop. Ends the process. */
export async function serve(configuration: Configuration): Promise<never> {
  const { logLevel: level, secrets } = configuration;
  const log = createLogger({ level, version, secrets });
  const stopping = new Promise<string>((resolve) => {
    process.on('SIGTERM', resolve);
    process.on('SIGINT', resolve);
    // Whoever started this process with a channel to it (the demo) has gone.
    process.on('disconnect', () => resolve('disconnect'));
  });

  try {
    const sendLastSpans = await startTracing(process.env, version);
    const server = await startServer(configuration, log);
    const { url, metricsUrl } = server;
    const tokenFile = join(configuration.dataDirectory, 'token');
    log.info({ url, metricsUrl, tokenFile }, `listening on ${url}`);
    process.send?.({ url, metricsUrl });
    const reason = await stopping;
    log.info({ reason }, 'shutting down');
    setTimeout(() => {
      log.error({}, 'the shutdown took too long');
      process.exit(0);
    }, hardStopMs).unref();
    await server.close();
    await Promise.race([
      sendLastSpans().catch((err: unknown) => log.warn({ err }, 'the last spans were lost')),
      new Promise((resolve) => setTimeout(resolve, lastSpansMs)),
    ]);
    log.info({}, 'stopped');
    process.exit(0);
  } catch (err) {
    log.fatal({ err }, 'the server could not start, or failed');
    process.exit(1);
  }
}
