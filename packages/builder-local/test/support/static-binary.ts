import { createRequire } from 'node:module';

/** A static binary that every checkout has. */
export const staticBinary = createRequire(import.meta.url).resolve(
  `@esbuild/linux-${process.arch === 'x64' ? 'x64' : 'arm64'}/bin/esbuild`,
);
