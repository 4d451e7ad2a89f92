import { execFile } from 'node:child_process';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = join(root, 'docs', 'writing-a-registry-adapter.md');
const withinMs = 120_000;

/**
 * Makes the folder of docs/writing-a-registry-adapter.md of the page's own blocks and runs its tests as the page says.
 * @param project has the packed packages installed; of the repository, only vitest is lent to it
 * @throws Error with vitest's output where a test fails
 */
export async function checkDocumentedAdapter(project: string): Promise<void> {
  const text = await readFile(page, 'utf8');
  const block = (language: string): string => {
    const [, code] = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(text) ?? [];
    if (code === undefined) throw new Error(`${page} has no block of ${language}`);
    return code;
  };
  const folder = join(project, 'my-registry');
  await mkdir(join(folder, 'src'), { recursive: true });
  await mkdir(join(folder, 'test'));
  await mkdir(join(folder, 'node_modules', '.bin'), { recursive: true });
  await writeFile(join(folder, 'package.json'), block('json'));
  await writeFile(join(folder, 'src', 'index.ts'), block('ts'));
  await writeFile(join(folder, 'test', 'conformance.test.ts'), block('js'));
  for (const lent of ['vitest', join('.bin', 'vitest')]) {
    await symlink(join(root, 'node_modules', lent), join(folder, 'node_modules', lent));
  }

  const [program = '', ...words] = block('sh').trim().split(' ');
  const { stdout } = await promisify(execFile)(program, words, {
    cwd: folder,
    timeout: withinMs,
    env: { ...process.env, NO_COLOR: '1' },
  });
  const passed = /Tests +(\d+) passed \((\d+)\)/.exec(stdout);
  if (!passed || passed[1] !== passed[2]) throw new Error(stdout);
  console.log(`the adapter of the documentation passes the ${passed[1]} tests of the kit`);
}
