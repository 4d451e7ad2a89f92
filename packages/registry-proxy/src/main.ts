import { openConfigurationFile } from './configuration-file.ts';
import { createRegistryProxy } from './create-registry-proxy.ts';
import { createReport } from './report.ts';

const report = createReport((line) => process.stdout.write(line));

async function main(): Promise<void> {
  const path = process.env.CYGNI_PROXY_CONFIG ?? '/etc/cygni/proxy.json';
  const file = await openConfigurationFile(path, report);
  const proxy = createRegistryProxy(file, report);
  const end = () => void proxy.close().finally(() => process.exit(0));
  // As the first process of a container it gets no signal that it does not ask for.
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  await proxy.listen();
}

main().catch((error: unknown) => {
  const message = error instanceof Error ? error.message : String(error);
  report({ event: 'error', reason: 'invalid_configuration', message });
  process.exitCode = 1;
});
