import type { BuildJob } from '@cygni/core';

/** No build takes its layers from so many of its tenant's images. */
const maximum = 20;
const longestWord = 512;
const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const repositoryPath = new RegExp(`^${component}(?:/${component})*$`);

/**
 * The tenant's own repositories, in the registry that the build pushes to, that its Dockerfile takes images from: what
 * FROM and COPY --from name, with the arguments that are known before the first FROM. Another tenant's are never among
 * them, whatever the Dockerfile says. Pure.
 *
 * This is no parser: what it misses cannot be pulled, and what it takes for an image is the tenant's own all the same.
 */
export function ownRepositories(dockerfile: string, job: BuildJob): readonly string[] {
  const { host, repository: target } = job.destination;
  const known = new Map<string, string>();
  const found = new Set<string>();
  let staged = false;
  for (const line of instructionsOf(dockerfile)) {
    const [word = '', ...rest] = line.split(/\s+/);
    const name = word.toUpperCase();
    if (name === 'ARG' && !staged) {
      for (const each of rest) declare(each, job, known);
    } else if (name === 'FROM') {
      staged = true;
      take(rest.find((each) => !each.startsWith('--')));
    } else if (name === 'COPY') {
      take(rest.find((each) => each.startsWith('--from='))?.slice('--from='.length));
    }
  }
  found.delete(target);
  return [...found].slice(0, maximum);

  function take(word: string | undefined): void {
    const reference = expand(word ?? '', known);
    if (!reference.startsWith(`${host}/${job.tenantId}/`)) return;
    const path = reference
      .slice(host.length + 1)
      .replace(/@.*$/, '')
      .replace(/:[^/]*$/, '');
    if (path.length <= 255 && repositoryPath.test(path)) found.add(path);
  }
}

/** Continued lines are joined; comments and empty lines are left out. */
function instructionsOf(dockerfile: string): readonly string[] {
  const lines = dockerfile.split(/\r?\n/).filter((line) => !/^\s*#/.test(line));
  const instructions: string[] = [];
  let open = '';
  for (const line of lines) {
    const continued = /[\\`]\s*$/.exec(line);
    open += continued ? `${line.slice(0, continued.index)} ` : line;
    if (continued) continue;
    if (open.trim() !== '') instructions.push(open.trim());
    open = '';
  }
  return instructions;
}

function declare(word: string, { buildArguments }: BuildJob, known: Map<string, string>): void {
  const [, name, value] = /^([A-Za-z_]\w*)(?:=(.*))?$/.exec(word) ?? [];
  if (name === undefined) return;
  const given = Object.hasOwn(buildArguments, name) ? buildArguments[name] : undefined;
  known.set(name, given ?? expand(value ?? '', known));
}

/** Empty where it is longer than any name is: arguments that name each other could grow without end. */
function expand(word: string, known: ReadonlyMap<string, string>): string {
  if (word.length > longestWord) return '';
  const expanded = word
    .replace(/^(["'])(.*)\1$/, '$2')
    .replace(
      /\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::-([^}$]*))?\})/g,
      (_, bare, braced, otherwise) => known.get(bare ?? braced) || (otherwise ?? ''),
    );
  return expanded.length > longestWord ? '' : expanded;
}
