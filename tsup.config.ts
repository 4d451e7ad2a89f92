import { defineConfig } from 'tsup';

/** Shared by every package: ESM, one declaration file, no bundled dependencies. */
export default defineConfig({
  entry: ['src/index.ts'],
  format: 'esm',
  target: 'node22',
  dts: { compilerOptions: { customConditions: [], rewriteRelativeImportExtensions: false } },
  clean: true,
  sourcemap: true,
});
