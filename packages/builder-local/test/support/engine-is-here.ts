import { spawnSync } from 'node:child_process';

const asked = new Map<string, boolean>();

/** Whether an engine works on this machine. Where CI is set it must; elsewhere one loud line says what is skipped. */
export function engineIsHere(name: 'podman' | 'buildah'): boolean {
  const known = asked.get(name);
  if (known !== undefined) return known;
  const isHere = spawnSync(name, ['info'], { stdio: 'ignore', timeout: 20_000 }).status === 0;
  if (!isHere) {
    if (process.env.CI) throw new Error(`${name} is needed for these tests, and is not here`);
    process.stderr.write(`\n!!! ${name} is not here: its tests are SKIPPED\n`);
  }
  asked.set(name, isHere);
  return isHere;
}
