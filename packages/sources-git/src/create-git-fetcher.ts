import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { abortedError, type Call, CygniError, type SourceFetcher, SPEC_VERSION } from '@cygni/core';
import { resolveOutbound } from '@cygni/core/outbound';
import { fetchSettings } from './git-arguments.ts';
import { refuse } from './map-error.ts';
import { type GitFetcherOptions, resolveOptions } from './options.ts';
import { parseLocation } from './parse-location.ts';
import { readArchive } from './read-archive.ts';
import { type GitRun, runGit } from './run-git.ts';

/** Older ones ignore that a connection is to go to the address that was looked at. */
const oldest = { major: 2, minor: 37 };
const prefix = 'git-';
const wholeCommit = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i;

/**
 * Reads public git repositories over https, with the git of this machine: one commit, without its history, its
 * submodules or anything that would run.
 * @throws `invalid_configuration`
 */
export function createGitFetcher(options: GitFetcherOptions): SourceFetcher {
  const resolved = resolveOptions(options);
  const closing = new AbortController();
  let open = 0;

  return {
    specVersion: SPEC_VERSION,
    name: 'git',
    async open(call) {
      check(call, closing.signal);
      await emptyDirectory(resolved.directory);
    },
    async close() {
      closing.abort(new CygniError('closed', 'the git fetcher is closed'));
    },
    async fetchGit(location, call) {
      check(call, closing.signal);
      const policy = { allowedHosts: resolved.allowedHosts, allowHttp: false };
      const target = parseLocation(location, policy);
      if (open >= resolved.concurrency) {
        throw new CygniError('unavailable', 'other repositories are being read; try again');
      }
      open += 1;
      const held = new AsyncDisposableStack();
      held.defer(() => {
        open -= 1;
      });
      try {
        const over = new AbortController();
        const signal = AbortSignal.any([
          ...[call.signal, closing.signal, over.signal],
          AbortSignal.timeout(resolved.timeoutMs),
        ]);
        const directory = await mkdtemp(join(resolved.directory, prefix));
        held.defer(() => rm(directory, { recursive: true, force: true }));
        const { program, maximumPackBytes: maximumFileBytes } = resolved;
        const run: GitRun = { directory, program, maximumFileBytes, signal };
        await requireVersion(run);
        const addresses = await resolveOutbound(target.url, policy, {
          ...{ signal, lookup: resolved.lookup },
        });
        const commit = await fetchCommit(
          target,
          fetchSettings(target.url, addresses, resolved),
          run,
        );
        const archive = readArchive(commit, resolved.maximumFilesBytes, run);
        held.defer(async () => {
          over.abort();
          await archive.return(undefined);
        });
        return { commit, archive, [Symbol.asyncDispose]: () => held.disposeAsync() };
      } catch (error) {
        await held.disposeAsync();
        throw error;
      }
    },
  };
}

/** Of what a process left that was killed. */
async function emptyDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const name of await readdir(directory)) {
    if (name.startsWith(prefix)) await rm(join(directory, name), { recursive: true, force: true });
  }
}

function check({ signal }: Call, closing: AbortSignal): void {
  if (closing.aborted) throw abortedError(closing);
  if (signal.aborted) throw abortedError(signal);
}

async function requireVersion(run: GitRun): Promise<void> {
  const [, major, minor] = /(\d+)\.(\d+)/.exec(await runGit(['version'], run)) ?? [];
  const found = { major: Number(major), minor: Number(minor) };
  if (found.major > oldest.major) return;
  if (found.major === oldest.major && found.minor >= oldest.minor) return;
  const message = `this server cannot read repositories: its git is older than ${oldest.major}.${oldest.minor}`;
  throw new CygniError('unsupported', message);
}

async function fetchCommit(
  { url, ref }: { readonly url: URL; readonly ref: string },
  settings: readonly string[],
  run: GitRun,
): Promise<string> {
  await runGit(['init', '--quiet', '--bare', '--template=', '.'], run);
  const flags = ['--quiet', '--depth=1', '--no-tags', '--no-recurse-submodules'];
  await runGit([...settings, 'fetch', ...flags, '--', url.href, ref], run);
  const commit = await runGit(['rev-parse', '--verify', '--quiet', 'FETCH_HEAD^{commit}'], run);
  if (wholeCommit.test(ref) && commit !== ref.toLowerCase()) {
    throw refuse('/git/ref', 'is not the commit that the server gave');
  }
  return commit;
}
