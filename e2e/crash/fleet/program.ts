import { fileURLToPath } from 'node:url';

const entry = fileURLToPath(new URL('../child/main.ts', import.meta.url));

/** Arguments of Node. */
export const program = ['--conditions=cygni-source', entry];

export function startOptions(compileCache: string) {
  return {
    env: { ...process.env, NODE_COMPILE_CACHE: compileCache, NODE_ENV: 'production' },
  };
}
