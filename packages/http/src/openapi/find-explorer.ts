import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/**
 * The file of the script that renders the reference. The published package brings a copy, since all else that comes with
 * openapi-explorer, some eighty packages, is for building it.
 */
export function findExplorer(): string {
  const copy = fileURLToPath(new URL('openapi-explorer.min.js', import.meta.url));
  if (existsSync(copy)) return copy;
  const require = createRequire(import.meta.url);
  return require.resolve('openapi-explorer/dist/browser/openapi-explorer.min.js');
}
