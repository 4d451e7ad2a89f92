import { dockerfileError } from '../build-fault.ts';

/** Splits at white space that is neither quoted nor escaped; quotes and escapes stay, `expand` removes them. */
export function splitWords(text: string, escapeMark: string): readonly string[] {
  const words: string[] = [];
  let word = '';
  let quoted = '';
  for (let index = 0; index < text.length; index += 1) {
    const character = text.charAt(index);
    if (quoted === '' && /\s/.test(character)) {
      if (word !== '') words.push(word);
      word = '';
      continue;
    }
    word += character;
    if (character === escapeMark && quoted !== "'") {
      index += 1;
      word += text.charAt(index);
    } else if (quoted === '' && (character === '"' || character === "'")) quoted = character;
    else if (character === quoted) quoted = '';
  }
  if (word !== '') words.push(word);
  return words;
}

export interface Pair {
  readonly name: string;
  readonly value: string;
}

/** `a=b c="d e"`, or the old form `a rest of the line`. */
export function parsePairs(
  keyword: string,
  text: string,
  escapeMark: string,
  line: number,
): readonly Pair[] {
  const words = splitWords(text, escapeMark);
  const [first] = words;
  if (first === undefined) throw dockerfileError(line, `${keyword} needs an argument`);
  if (!first.includes('=')) {
    const value = text.trimStart().slice(first.length).trim();
    if (value === '') throw dockerfileError(line, `${keyword} ${first} needs a value`);
    return [{ name: first, value }];
  }
  return words.map((word) => {
    const at = word.indexOf('=');
    if (at < 0) throw dockerfileError(line, `${keyword}: ${word} is not of the form name=value`);
    if (at === 0) throw dockerfileError(line, `${keyword}: a name is missing before ${word}`);
    return { name: word.slice(0, at), value: word.slice(at + 1) };
  });
}

/** The JSON form of an instruction's arguments; null if this is not one, which makes it the plain form. */
export function parseJsonForm(text: string): readonly string[] | null {
  if (!text.trimStart().startsWith('[')) return null;
  try {
    const value: unknown = JSON.parse(text);
    if (!Array.isArray(value)) return null;
    return value.every((item): item is string => typeof item === 'string') ? value : null;
  } catch {
    return null;
  }
}

export interface Flag {
  readonly name: string;
  /** Null: without `=`. */
  readonly value: string | null;
}

/** Takes the `--name=value` words off the front. */
export function takeFlags(
  text: string,
  escapeMark: string,
): { readonly flags: readonly Flag[]; readonly rest: string } {
  const flags: Flag[] = [];
  let rest = text.trimStart();
  while (rest.startsWith('--')) {
    const end = endOfWord(rest, escapeMark);
    const word = rest.slice(2, end);
    if (word === '') break;
    const at = word.indexOf('=');
    flags.push(
      at < 0 ? { name: word, value: null } : { name: word.slice(0, at), value: word.slice(at + 1) },
    );
    rest = rest.slice(end).trimStart();
  }
  return { flags, rest };
}

function endOfWord(text: string, escapeMark: string): number {
  let quoted = '';
  for (let index = 0; index < text.length; index += 1) {
    const character = text.charAt(index);
    if (quoted === '' && /\s/.test(character)) return index;
    if (character === escapeMark && quoted !== "'") index += 1;
    else if (quoted === '' && (character === '"' || character === "'")) quoted = character;
    else if (character === quoted) quoted = '';
  }
  return text.length;
}
