import { dockerfileError } from '../build-fault.ts';
import type { CommandForm, ParsedInstruction } from './instruction.ts';
import { parseCopy } from './parse-copy.ts';
import { parseHealthcheck } from './parse-healthcheck.ts';
import { type Flag, parseJsonForm, parsePairs, splitWords, takeFlags } from './words.ts';

const stageName = /^[a-z][a-z0-9-_.]*$/;

/** @throws BuildFault that names the line */
export function parseInstruction(
  keyword: string,
  content: string,
  escapeMark: string,
  line: number,
): ParsedInstruction {
  if (content === '') throw dockerfileError(line, `${keyword} needs an argument`);
  switch (keyword) {
    case 'FROM':
      return parseFrom(content, escapeMark, line);
    case 'RUN':
      return { kind: 'run' };
    case 'COPY':
    case 'ADD':
      return parseCopy(keyword, content, escapeMark, line);
    case 'ARG':
      return {
        kind: 'arg',
        arguments: splitWords(content, escapeMark).map((word) => argument(word)),
      };
    case 'ENV':
      return { kind: 'env', pairs: parsePairs('ENV', content, escapeMark, line) };
    case 'LABEL':
      return { kind: 'label', pairs: parsePairs('LABEL', content, escapeMark, line) };
    case 'WORKDIR':
    case 'STOPSIGNAL':
    case 'USER':
      return { kind: lower(keyword), value: content };
    case 'MAINTAINER':
      return { kind: 'maintainer', value: content };
    case 'EXPOSE':
      return { kind: 'expose', words: splitWords(content, escapeMark) };
    case 'VOLUME':
      return { kind: 'volume', words: parseJsonForm(content) ?? splitWords(content, escapeMark) };
    case 'CMD':
      return { kind: 'cmd', command: parseCommand(content) };
    case 'ENTRYPOINT':
      return { kind: 'entrypoint', command: parseCommand(content) };
    case 'SHELL': {
      const words = parseJsonForm(content);
      if (!words || words.length === 0) {
        throw dockerfileError(line, 'SHELL needs the JSON form: SHELL ["/bin/sh", "-c"]');
      }
      return { kind: 'shell', words };
    }
    case 'HEALTHCHECK':
      return parseHealthcheck(content, escapeMark, line);
    case 'ONBUILD': {
      const trigger = content.split(/\s/, 1)[0]?.toUpperCase() ?? '';
      if (trigger === 'ONBUILD' || trigger === 'FROM' || trigger === 'MAINTAINER') {
        throw dockerfileError(line, `ONBUILD ${trigger} is not allowed`);
      }
      // Parsed only to refuse early what could never run; the image keeps the text.
      parseInstruction(trigger, content.slice(trigger.length).trim(), escapeMark, line);
      return { kind: 'onbuild', trigger: content };
    }
    default:
      throw dockerfileError(line, `unknown instruction ${keyword}`);
  }
}

function lower(keyword: 'WORKDIR' | 'STOPSIGNAL' | 'USER') {
  return keyword === 'WORKDIR' ? 'workdir' : keyword === 'USER' ? 'user' : 'stopsignal';
}

function argument(word: string): { name: string; value: string | null } {
  const at = word.indexOf('=');
  return at < 0
    ? { name: word, value: null }
    : { name: word.slice(0, at), value: word.slice(at + 1) };
}

export function parseCommand(content: string): CommandForm {
  const words = parseJsonForm(content);
  return words ? { form: 'exec', words } : { form: 'shell', text: content };
}

function parseFrom(content: string, escapeMark: string, line: number): ParsedInstruction {
  const { flags, rest } = takeFlags(content, escapeMark);
  const platform = flagValues(flags, 'FROM', ['platform'], line).get('platform')?.[0] ?? null;
  const words = splitWords(rest, escapeMark);
  const [image, as, name] = words;
  const wellFormed = words.length === 1 || (words.length === 3 && as?.toUpperCase() === 'AS');
  if (image === undefined || !wellFormed) {
    throw dockerfileError(line, 'FROM takes an image and, optionally, AS and a name');
  }
  const lowered = name?.toLowerCase() ?? null;
  if (lowered !== null && (!stageName.test(lowered) || lowered === 'scratch')) {
    throw dockerfileError(line, `${name} cannot name a stage`);
  }
  return { kind: 'from', image, name: lowered, platform };
}

/** The values of each flag. @throws BuildFault for a flag that is not among `known`, or has no value */
export function flagValues(
  flags: readonly Flag[],
  keyword: string,
  known: readonly string[],
  line: number,
): ReadonlyMap<string, readonly string[]> {
  const values = new Map<string, readonly string[]>();
  for (const { name, value } of flags) {
    if (!known.includes(name)) throw dockerfileError(line, `unknown flag --${name} of ${keyword}`);
    if (value === null || value === '') throw dockerfileError(line, `--${name} needs a value`);
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  return values;
}
