export {
  type ProxyConfiguration,
  type ProxyConfigurationInput,
  proxyConfigurationSchema,
} from './configuration.ts';
