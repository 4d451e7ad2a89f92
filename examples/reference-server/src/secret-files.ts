import { readFileSync } from 'node:fs';

export interface ReadEnvironment {
  readonly values: Readonly<Record<string, string>>;
  /** One line for each variable that could not be read. */
  readonly problems: readonly string[];
}

/**
 * The variables of these names. Each may be in a file instead, as secrets are in containers: `NAME_FILE` says in which.
 * One that is set to nothing counts as not set.
 */
export function readEnvironment(
  environment: NodeJS.ProcessEnv,
  names: readonly string[],
): ReadEnvironment {
  const values: Record<string, string> = {};
  const problems: string[] = [];
  for (const name of names) {
    const value = environment[name] || undefined;
    const fileVariable = `${name}_FILE`;
    const path = environment[fileVariable] || undefined;
    if (value !== undefined && path !== undefined) {
      problems.push(`${name}: is set, and so is ${fileVariable}; only one may be`);
    } else if (path !== undefined) {
      try {
        values[name] = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
        problems.push(`${fileVariable}: the file cannot be read (${code})`);
      }
    } else if (value !== undefined) {
      values[name] = value;
    }
  }
  return { values, problems };
}
