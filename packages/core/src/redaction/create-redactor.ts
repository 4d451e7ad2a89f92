import { createAutomaton, type SearchState } from './automaton.ts';
import { spellingsOf } from './spellings.ts';

const mark = '[redacted]';
/** Shorter ones would hit ordinary words. */
const shortestSecret = 4;
/** What may be shown of the beginning of a secret that goes on in the next line. */
const mostShown = 5;
/** Of less, too many words are the beginning. */
const leastTelling = 3;
/** A line of a secret of several lines is hidden by itself too. */
const shortestLine = 16;

const escapeCharacter = 0x1b;
const colour = /\[[0-9;:]*m/y;

/** Takes secrets out of texts. */
export interface Redactor {
  /** From now on this is taken out too. Secrets of less than four characters, whitespace aside, are not. */
  hide(secret: string): void;
  /**
   * A reader of one stream of lines, in order. A secret is found wherever lines are cut, also if whitespace or colours
   * stand within it. Each line is given back at once: a line that ends with much of a secret's beginning is redacted
   * before it is known how it goes on. Lines stay lines, so that their numbers stay the same.
   */
  openStream(): (line: string) => string;
  /** A text by itself. */
  redact(text: string): string;
}

export function createRedactor(secrets: readonly string[] = []): Redactor {
  const needles = new Set<string>();
  let automaton = createAutomaton([], Number);

  function hide(secret: string): void {
    const bare = secret.replaceAll(/\s/g, '');
    if (bare.length < shortestSecret || needles.has(bare)) return;
    const lines = secret.split(/[\r\n]+/).filter((line) => line.length >= shortestLine);
    for (const spelling of [secret, bare, ...lines].flatMap(spellingsOf)) {
      needles.add(spelling.replaceAll(/\s/g, ''));
    }
    automaton = createAutomaton([...needles], tellingFrom);
  }

  function openStream(): (line: string) => string {
    let searched = automaton;
    let state: SearchState = automaton.start;
    return (line) => {
      if (searched !== automaton) {
        searched = automaton;
        state = automaton.start;
      }
      if (needles.size === 0) return line;
      const found = search(line);
      return found.length === 0 ? line : replaceRanges(line, found);
    };

    /** Ranges of the line to take out, by their end. They may overlap. */
    function search(line: string): readonly Range[] {
      const found: Range[] = [];
      /** Where in the line the characters stand that count. */
      const places: number[] = [];
      const startOf = (length: number) => places[places.length - length] ?? 0;
      for (let index = 0; index < line.length; index += 1) {
        const character = line.charCodeAt(index);
        if (character === escapeCharacter) index += colourLength(line, index);
        if (character === escapeCharacter || isWhitespace(character)) continue;
        places.push(index);
        state = searched.step(state, character);
        if (state.matched > 0) found.push({ start: startOf(state.matched), end: index + 1 });
      }
      const last = places.at(-1);
      if (state.telling > 0 && last !== undefined) {
        found.push({ start: startOf(state.telling), end: last + 1 });
      }
      return found;
    }
  }

  for (const secret of secrets) hide(secret);
  return { hide, openStream, redact: (text) => openStream()(text) };
}

interface Range {
  readonly start: number;
  readonly end: number;
}

function tellingFrom(needle: string): number {
  return Math.min(mostShown + 1, Math.max(leastTelling, Math.ceil(needle.length / 2)));
}

function isWhitespace(character: number): boolean {
  if (character <= 0x7f) return character === 0x20 || (character >= 0x09 && character <= 0x0d);
  return character >= 0xa0 && /\s/.test(String.fromCharCode(character));
}

/** How many characters of a colour sequence follow the escape character at `index`. */
function colourLength(line: string, index: number): number {
  colour.lastIndex = index + 1;
  return colour.test(line) ? colour.lastIndex - index - 1 : 0;
}

function replaceRanges(line: string, found: readonly Range[]): string {
  const ranges = found.toSorted((left, right) => left.start - right.start);
  let clean = '';
  let shown = 0;
  let hiddenTo = 0;
  for (const { start, end } of ranges) {
    if (start > hiddenTo || hiddenTo === 0) {
      clean += line.slice(shown, Math.max(start, shown)) + mark;
    }
    hiddenTo = Math.max(hiddenTo, end);
    shown = hiddenTo;
  }
  return clean + line.slice(shown);
}
