import { CygniError } from '@cygni/core';

const deepest = 32;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Parses what two parsers cannot read differently and every store can keep: UTF-8, no name twice in an object, whole
 * Unicode characters, not nested beyond reason.
 * @throws `invalid_input`, with the pointer of the whole body
 */
export function parseJson(bytes: Uint8Array): unknown {
  const text = decode(bytes);
  const value = parse(text);
  const fault = findFault(text);
  if (fault) throw refusal(fault.code, fault.message);
  return value;
}

interface Fault {
  readonly code: string;
  readonly message: string;
}

function refusal(code: string, message: string): CygniError {
  const issues = [{ pointer: '', code, message }];
  return new CygniError('invalid_input', `the body ${message}`, { issues });
}

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw refusal('invalid_encoding', 'is not UTF-8');
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw refusal('invalid_json', 'is not JSON');
  }
}

const token = /[{}[\],]|"(?:[^"\\]|\\.)*"/g;

/** What `JSON.parse` lets through in a text that it takes. */
function findFault(text: string): Fault | undefined {
  /** Of each open object the names so far; of each open array null. */
  const open: (Set<string> | null)[] = [];
  let nameIsNext = false;
  for (const [each] of text.matchAll(token)) {
    switch (each) {
      case '{':
      case '[':
        if (open.length === deepest) {
          return { code: 'too_deep', message: `is nested more than ${deepest} deep` };
        }
        open.push(each === '{' ? new Set() : null);
        nameIsNext = each === '{';
        break;
      case '}':
      case ']':
        open.pop();
        nameIsNext = false;
        break;
      case ',':
        nameIsNext = open.at(-1) instanceof Set;
        break;
      default: {
        const string = each.includes('\\') ? String(JSON.parse(each)) : each.slice(1, -1);
        if (!string.isWellFormed() || string.includes('\0')) {
          return { code: 'invalid_string', message: 'has NUL or half a character in a string' };
        }
        const names = open.at(-1);
        if (!nameIsNext || !names) break;
        if (names.has(string)) return { code: 'duplicate_name', message: 'has a name twice' };
        names.add(string);
        nameIsNext = false;
      }
    }
  }
  return undefined;
}
