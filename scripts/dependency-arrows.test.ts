import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';

const packagesFolder = fileURLToPath(new URL('../packages', import.meta.url));
const manifestSchema = z.object({
  dependencies: z.record(z.string(), z.string()).default({}),
  peerDependencies: z.record(z.string(), z.string()).default({}),
});

const importPattern = /^(?:import|export)\b(?:[^;']*?\bfrom)? ?'([^']+)'/gm;

/** The module names that a package's sources import, without paths into them and without Node's own. */
function importsOf(folder: string): ReadonlySet<string> {
  const source = join(packagesFolder, folder, 'src');
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' });
  const names = files
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join(source, file), 'utf8'))
    .flatMap((text) => [...text.matchAll(importPattern)])
    .map(([, specifier = '']) => specifier)
    .filter((specifier) => !specifier.startsWith('.') && !isBuiltin(specifier))
    .map((specifier) =>
      specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/'),
    );
  return new Set(names);
}

const folders = readdirSync(packagesFolder);

describe('the arrows between packages', () => {
  it.each(folders.filter((folder) => folder !== 'core'))(
    '%s imports no other package of ours than core',
    (folder) => {
      const ours = [...importsOf(folder)].filter((name) => name.startsWith('@cygni/'));
      expect(ours.filter((name) => name !== '@cygni/core')).toEqual([]);
    },
  );

  it('core imports no adapter, no HTTP framework and no vendor library', () => {
    expect([...importsOf('core')].sort()).toEqual([
      '@opentelemetry/api',
      'p-retry',
      'prom-client',
      'zod',
    ]);
  });

  it.each(folders)('%s declares what it imports', (folder) => {
    const text = readFileSync(join(packagesFolder, folder, 'package.json'), 'utf8');
    const { dependencies, peerDependencies } = manifestSchema.parse(JSON.parse(text));
    const declared = new Set([...Object.keys(dependencies), ...Object.keys(peerDependencies)]);
    expect([...importsOf(folder)].filter((name) => !declared.has(name))).toEqual([]);
  });
});
