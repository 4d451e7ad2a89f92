import { defineConfig } from 'tsup';
import shared from '../../tsup.config.ts';

export default defineConfig({
  ...shared,
  entry: {
    index: 'src/index.ts',
    conformance: 'src/conformance/index.ts',
    'container-engine': 'src/container-engine/index.ts',
    outbound: 'src/outbound/index.ts',
  },
});
