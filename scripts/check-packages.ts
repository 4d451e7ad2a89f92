import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { checkDocumentedAdapter } from './documented-adapter.ts';

/**
 * Packs every package as npm would publish it, checks the tarballs with publint and arethetypeswrong, installs them
 * together in an empty project, imports each entry point with plain Node, compiles the documentation's snippets
 * against them, and runs the adapter that the documentation leads to.
 */
const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const binaries = join(root, 'node_modules', '.bin');
const manifestSchema = z.object({
  name: z.string(),
  private: z.boolean().default(false),
  exports: z.record(z.string(), z.unknown()),
});

const directory = await mkdtemp(join(tmpdir(), 'cygni-packages-'));
try {
  const packages = await packAll();
  for (const { name, tarball } of packages) {
    await run(join(binaries, 'publint'), [tarball, '--strict']);
    await run(join(binaries, 'attw'), [tarball, '--profile', 'esm-only']);
    console.log(`${name}: publint and attw are clean`);
  }
  await consume(packages);
} finally {
  await rm(directory, { recursive: true, force: true });
}

interface PackedPackage {
  readonly name: string;
  readonly tarball: string;
  readonly entries: readonly string[];
}

async function packAll(): Promise<PackedPackage[]> {
  const packed: PackedPackage[] = [];
  for (const folder of await readdir(join(root, 'packages'))) {
    const source = join(root, 'packages', folder);
    const manifest = manifestSchema.parse(
      JSON.parse(await readFile(join(source, 'package.json'), 'utf8')),
    );
    if (manifest.private) continue;
    const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', directory], {
      cwd: source,
    });
    packed.push({
      name: manifest.name,
      tarball: join(directory, stdout.trim()),
      entries: Object.keys(manifest.exports)
        .filter((entry) => !entry.endsWith('.json'))
        .map((entry) => join(manifest.name, entry)),
    });
  }
  return packed;
}

async function consume(packages: readonly PackedPackage[]): Promise<void> {
  const project = join(directory, 'consumer');
  await mkdir(project);
  await writeFile(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  const tarballs = packages.map(({ tarball }) => tarball);
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', ...tarballs], {
    cwd: project,
  });
  const entries = packages.flatMap((each) => each.entries);
  const imports = entries.map((entry) => `import ${JSON.stringify(entry)};`).join('\n');
  await writeFile(join(project, 'import-all.mjs'), imports);
  await run(process.execPath, ['import-all.mjs'], { cwd: project });
  console.log(`${entries.length} entry points can be imported from the packed packages`);

  const snippets = await readSnippets();
  for (const resolution of ['nodenext', 'bundler']) {
    for (const [index, snippet] of snippets.entries()) {
      await writeFile(join(project, `snippet-${index}.ts`), snippet);
    }
    const options = {
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      target: 'es2024',
      lib: ['es2024', 'esnext.disposable'],
      module: resolution === 'nodenext' ? 'nodenext' : 'esnext',
      moduleResolution: resolution,
      types: ['node'],
      typeRoots: [join(root, 'node_modules', '@types')],
    };
    await writeFile(
      join(project, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: options, include: ['snippet-*.ts'] }),
    );
    await run(join(binaries, 'tsc'), ['--project', project]);
    console.log(`${snippets.length} snippets of the documentation compile (${resolution})`);
  }
  await checkDocumentedAdapter(project);
}

/** The TypeScript in README.md, docs/ and the packages' own README files. */
async function readSnippets(): Promise<string[]> {
  const pages = (await readdir(join(root, 'docs'))).filter((name) => name.endsWith('.md'));
  const packages = await readdir(join(root, 'packages'));
  const files = [
    join(root, 'README.md'),
    ...pages.map((name) => join(root, 'docs', name)),
    ...packages.map((name) => join(root, 'packages', name, 'README.md')),
  ];
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  return texts.flatMap((text) =>
    [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = '']) => code),
  );
}
