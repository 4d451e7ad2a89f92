import { userError } from '../build-fault.ts';

const maximumDepth = 200;
const maximumLength = 4096;

/**
 * The name of an archive's entry as a path inside the root; empty for the root itself.
 * @param spellings names seen so far; two that differ only in their Unicode form are refused
 * @throws BuildFault
 */
export function checkedName(name: string, spellings: Map<string, string>): string {
  const shown = JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
  if (name.startsWith('/')) throw userError(`the archive has an absolute name: ${shown}`);
  if (name.includes('\0') || name.includes('\uFFFD')) {
    throw userError(`the archive has a name that is not UTF-8 text: ${shown}`);
  }
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw userError(`the archive has a name that leaves it: ${shown}`);
  if (parts.length > maximumDepth || name.length > maximumLength) {
    throw userError(`the archive has a name that is too long: ${shown}`);
  }
  const path = parts.join('/');
  const normal = path.normalize('NFC');
  const seen = spellings.get(normal);
  if (seen !== undefined && seen !== path) {
    throw userError(`the archive has two names that look the same: ${shown}`);
  }
  if (normal !== path || seen === undefined) spellings.set(normal, path);
  return path;
}
