export {
  type ProxyConfiguration,
  type ProxyConfigurationInput,
  proxyConfigurationSchema,
} from './configuration.ts';
export { openConfigurationFile } from './configuration-file.ts';
export { createRegistryProxy, type RegistryProxy } from './create-registry-proxy.ts';
export { createReport, type ReportedEvent } from './report.ts';
