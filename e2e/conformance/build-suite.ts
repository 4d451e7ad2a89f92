import { execFile } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const module = fileURLToPath(new URL('./suite', import.meta.url));
const suite = 'github.com/opencontainers/distribution-spec/conformance';
const buildWithinMs = 300_000;

/** Where Go's own instructions put it, for a shell whose PATH they were not told to. */
const candidates = ['go', '/usr/local/go/bin/go'];

/** The program of the suite that `suite/go.mod` pins, kept outside of the checkout; undefined without Go. */
export async function buildSuite(): Promise<string | undefined> {
  const go = await findGo();
  if (go === undefined) return undefined;
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const program = join(cache, 'cygni', 'oci-distribution-conformance');
  // Go itself sees whether the program is up to date.
  await run(go, ['build', '-mod=readonly', '-o', program, suite], {
    cwd: module,
    timeout: buildWithinMs,
  });
  return program;
}

async function findGo(): Promise<string | undefined> {
  for (const candidate of candidates) {
    try {
      const { stdout } = await run(candidate, ['env', 'GOVERSION'], { cwd: module });
      const [, major, minor] = /^go(\d+)\.(\d+)/.exec(stdout) ?? [];
      if (Number(major) > 1 || Number(minor) >= 24) return candidate;
    } catch {
      // Not here.
    }
  }
  return undefined;
}
