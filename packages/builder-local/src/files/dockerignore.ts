import { setImmediate } from 'node:timers/promises';
import { throwIfAborted, userError } from '../build-fault.ts';
import { compileGlob } from './glob.ts';
import { type DirectoryNode, joinPath, type Node, splitPath } from './tree.ts';

const maximumPatterns = 2000;

interface Rule {
  readonly exception: boolean;
  readonly matches: (path: string) => boolean;
}

export type Filter = (path: string) => boolean;

/** Patterns as `.dockerignore` and `--exclude` have them. @returns whether a path, or a directory above it, is excluded */
export function compileIgnore(patterns: readonly string[]): Filter {
  if (patterns.length > maximumPatterns) {
    throw userError(`more than ${maximumPatterns} ignore patterns`);
  }
  const rules = patterns.flatMap((line) => compileRule(line));
  return (path) => {
    const parts = path.split('/');
    const ancestors = parts.map((_, index) => parts.slice(0, index + 1).join('/'));
    let excluded = false;
    for (const rule of rules) {
      if (excluded !== rule.exception) continue;
      if (ancestors.some((each) => rule.matches(each))) excluded = !rule.exception;
    }
    return excluded;
  };
}

function compileRule(line: string): readonly Rule[] {
  const trimmed = line.trim();
  const exception = trimmed.startsWith('!');
  const pattern = splitPath(exception ? trimmed.slice(1).trim() : trimmed).join('/');
  if (pattern === '') return [];
  return [{ exception, matches: compileGlob(pattern, { doubleStar: true }) }];
}

export function readIgnoreLines(text: string): readonly string[] {
  return text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '' && !line.startsWith('#'));
}

/** The tree without what is excluded. A directory stays where something in it was excepted. */
export async function withoutIgnored(
  root: DirectoryNode,
  excluded: Filter,
  signal: AbortSignal,
): Promise<DirectoryNode> {
  let looked = 0;
  const filter = async (directory: DirectoryNode, prefix: string): Promise<DirectoryNode> => {
    const children = new Map<string, Node>();
    for (const [name, node] of directory.children) {
      looked += 1;
      // Patterns and names come from strangers: others get their turn while many are compared.
      if (looked % 500 === 0) await setImmediate();
      throwIfAborted(signal);
      const path = joinPath(prefix, name);
      const kept = node.kind === 'directory' ? await filter(node, path) : node;
      const hasContent = kept.kind === 'directory' && kept.children.size > 0;
      if (hasContent || !excluded(path)) children.set(name, kept);
    }
    return { ...directory, children };
  };
  return filter(root, '');
}
