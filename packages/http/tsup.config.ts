import { copyFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'tsup';
import shared from '../../tsup.config.ts';
import { findExplorer } from './src/openapi/find-explorer.ts';

const dist = fileURLToPath(new URL('dist', import.meta.url));

export default defineConfig({
  ...shared,
  async onSuccess() {
    const explorer = findExplorer();
    await copyFile(explorer, join(dist, basename(explorer)));
  },
});
