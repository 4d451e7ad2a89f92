import { userError } from '../build-fault.ts';

const maximumLength = 256 * 1024;
const maximumDepth = 50;

export type Environment = ReadonlyMap<string, string>;

/**
 * Expands one word as Docker does: quotes are removed, escapes applied and `$X`, `${X}`, `${X:-d}`,
 * `${X:+a}`, `${X:?m}` (and their forms without `:`) replaced. A variable that is not set is empty.
 * @throws BuildFault for what is malformed or grows past 256 KiB
 */
export function expand(word: string, environment: Environment, escapeMark: string): string {
  return createExpansion(word, environment, { escapeMark, quotes: true }).until('', 0);
}

/** Expands the body of a heredoc: quotes are text, and the escape character is always a backslash. */
export function expandText(text: string, environment: Environment): string {
  return createExpansion(text, environment, { escapeMark: '\\', quotes: false }).until('', 0);
}

function createExpansion(
  word: string,
  environment: Environment,
  { escapeMark, quotes }: { readonly escapeMark: string; readonly quotes: boolean },
) {
  let position = 0;

  function until(stop: string, depth: number): string {
    if (depth > maximumDepth) throw userError(`substitutions nested over ${maximumDepth} deep`);
    let result = '';
    while (position < word.length) {
      const character = word.charAt(position);
      if (character === stop) return result;
      position += 1;
      if (quotes && character === "'") result += singleQuoted();
      else if (quotes && character === '"') result += doubleQuoted(depth);
      else if (character === '$') result += variable(depth);
      else if (character === escapeMark) {
        result += word.charAt(position);
        position += 1;
      } else result += character;
      if (result.length > maximumLength) throw userError('a word expands to more than 256 KiB');
    }
    if (stop !== '') throw userError(`missing ${stop} in ${quote(word)}`);
    return result;
  }

  function singleQuoted(): string {
    const end = word.indexOf("'", position);
    if (end < 0) throw userError(`missing ' in ${quote(word)}`);
    const text = word.slice(position, end);
    position = end + 1;
    return text;
  }

  function doubleQuoted(depth: number): string {
    let result = '';
    while (position < word.length) {
      const character = word.charAt(position);
      position += 1;
      if (character === '"') return result;
      if (character === '$') result += variable(depth);
      else if (character === escapeMark) {
        const next = word.charAt(position);
        position += 1;
        result += next === '"' || next === '$' || next === escapeMark ? next : escapeMark + next;
      } else result += character;
      if (result.length > maximumLength) throw userError('a word expands to more than 256 KiB');
    }
    throw userError(`missing " in ${quote(word)}`);
  }

  function variable(depth: number): string {
    if (word.charAt(position) !== '{') {
      const name = variableName();
      return name === '' ? '$' : (environment.get(name) ?? '');
    }
    position += 1;
    const name = variableName();
    if (name === '') throw userError(`bad substitution in ${quote(word)}`);
    const value = environment.get(name);
    if (position >= word.length) throw userError(`missing } in ${quote(word)}`);
    let operator = word.charAt(position);
    position += 1;
    if (operator === '}') return value ?? '';
    let isSet = value !== undefined;
    if (operator === ':') {
      isSet = isSet && value !== '';
      operator = word.charAt(position);
      position += 1;
    }
    if (operator !== '-' && operator !== '+' && operator !== '?') {
      throw userError(`unsupported modifier ${quote(operator)} in ${quote(word)}`);
    }
    const argument = until('}', depth + 1);
    position += 1;
    if (operator === '+') return isSet ? argument : '';
    if (isSet) return value ?? '';
    if (operator === '?') throw userError(`${name}: ${argument || 'not allowed to be unset'}`);
    return argument;
  }

  function variableName(): string {
    const matched = /^(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#!?$-])/.exec(
      word.slice(position, position + 256),
    );
    const name = matched?.[0] ?? '';
    position += name.length;
    return name;
  }

  return { until };
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
