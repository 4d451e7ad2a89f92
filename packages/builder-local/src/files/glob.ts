import { userError } from '../build-fault.ts';

type Step =
  | { readonly kind: 'character'; readonly value: string }
  /** `?`: one character, not a slash. */
  | { readonly kind: 'one' }
  | {
      readonly kind: 'class';
      readonly negated: boolean;
      readonly ranges: readonly (readonly [string, string])[];
    }
  /** `*`: any number of characters, no slash. `**`: also slashes. */
  | { readonly kind: 'many'; readonly slashes: boolean }
  /** `**` and a slash: nothing, or anything that ends with a slash. */
  | { readonly kind: 'directories' };

const maximumLength = 4096;

export function hasWildcard(pattern: string): boolean {
  return /[*?[]/.test(pattern.replace(/\\./g, ''));
}

/**
 * Compiles a pattern of Go's `filepath.Match`, with `**` if `doubleStar`.
 * Matching takes time linear in the path: patterns come from strangers, and a backtracking
 * regular expression would let one stop the process.
 */
export function compileGlob(
  pattern: string,
  { doubleStar }: { readonly doubleStar: boolean },
): (path: string) => boolean {
  if (pattern.length > maximumLength) throw userError('a pattern is longer than 4096 characters');
  const steps = parse(pattern, doubleStar);
  return (path) => matches(steps, path);
}

function parse(pattern: string, doubleStar: boolean): readonly Step[] {
  const steps: Step[] = [];
  const characters = [...pattern];
  let index = 0;
  while (index < characters.length) {
    const character = characters[index] ?? '';
    index += 1;
    if (character === '*') {
      const start = index;
      while (characters[index] === '*') index += 1;
      if (!doubleStar || index === start) steps.push({ kind: 'many', slashes: false });
      else if (characters[index] === '/') {
        index += 1;
        steps.push({ kind: 'directories' });
      } else steps.push({ kind: 'many', slashes: true });
    } else if (character === '?') steps.push({ kind: 'one' });
    else if (character === '[') {
      index = parseClass(characters, index, steps);
    } else if (character === '\\') {
      const next = characters[index];
      if (next === undefined) throw userError(`malformed pattern ${JSON.stringify(pattern)}`);
      index += 1;
      steps.push({ kind: 'character', value: next });
    } else steps.push({ kind: 'character', value: character });
  }
  return steps;
}

function parseClass(characters: readonly string[], start: number, steps: Step[]): number {
  let index = start;
  const negated = characters[index] === '^' || characters[index] === '!';
  if (negated) index += 1;
  const ranges: (readonly [string, string])[] = [];
  const next = () => {
    if (characters[index] === '\\') index += 1;
    const character = characters[index];
    if (character === undefined) throw userError('a pattern has [ without ]');
    index += 1;
    return character;
  };
  while (characters[index] !== ']' || ranges.length === 0) {
    const low = next();
    if (characters[index] === '-' && characters[index + 1] !== ']') {
      index += 1;
      ranges.push([low, next()]);
    } else ranges.push([low, low]);
  }
  steps.push({ kind: 'class', negated, ranges });
  return index + 1;
}

/** Keeps the set of steps that may come next; each character of the path is looked at once. */
function matches(steps: readonly Step[], path: string): boolean {
  const size = steps.length + 1;
  let current = new Uint8Array(size);
  let following = new Uint8Array(size);
  enter(steps, current, 0);
  for (const character of path) {
    following.fill(0);
    for (let index = 0; index < steps.length; index += 1) {
      if (current[index] !== 1) continue;
      const step = steps[index];
      if (!step) continue;
      if (step.kind === 'many') {
        if (step.slashes || character !== '/') enter(steps, following, index);
      } else if (step.kind === 'directories') {
        following[index] = 1;
        if (character === '/') enter(steps, following, index + 1);
      } else if (accepts(step, character)) enter(steps, following, index + 1);
    }
    [current, following] = [following, current];
  }
  return current[steps.length] === 1;
}

/** Marks a step, and those after it that may match nothing. */
function enter(steps: readonly Step[], set: Uint8Array, start: number): void {
  for (let index = start; set[index] !== 1; index += 1) {
    set[index] = 1;
    const kind = steps[index]?.kind;
    if (kind !== 'many' && kind !== 'directories') return;
  }
}

function accepts(step: Step, character: string): boolean {
  if (step.kind === 'character') return step.value === character;
  if (character === '/') return false;
  if (step.kind === 'one') return true;
  if (step.kind !== 'class') return false;
  return step.negated !== step.ranges.some(([low, high]) => low <= character && character <= high);
}
