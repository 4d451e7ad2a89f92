import { dockerfileError } from '../build-fault.ts';
import type { CopyInstruction, Heredoc } from './instruction.ts';
import { flagValues } from './parse-instruction.ts';
import { type Flag, parseJsonForm, takeFlags } from './words.ts';

const heredocStart = /^<<(-?)(["']?)([A-Za-z_][A-Za-z0-9_.]*)\2$/;
const remote = /^(?:https?:\/\/|git@|git:\/\/|ssh:\/\/)/i;

/** COPY and ADD. @throws BuildFault that names the line */
export function parseCopy(
  keyword: 'COPY' | 'ADD',
  content: string,
  escapeMark: string,
  line: number,
): CopyInstruction {
  const newline = content.indexOf('\n');
  const { flags, rest } = takeFlags(newline < 0 ? content : content.slice(0, newline), escapeMark);
  const { unpack, others } = switches(flags, keyword, line);
  const known =
    keyword === 'COPY' ? ['from', 'chown', 'chmod', 'exclude'] : ['chown', 'chmod', 'exclude'];
  const values = flagValues(others, keyword, known, line);
  const words = parseJsonForm(rest) ?? rest.split(/\s+/).filter((word) => word !== '');
  const destination = words.at(-1);
  const from = values.get('from')?.at(-1) ?? null;
  if (destination === undefined || words.length < 2) {
    throw dockerfileError(line, `${keyword} needs at least one source and a destination`);
  }
  const starts = words.slice(0, -1);
  const heredocs = readHeredocs(starts, newline < 0 ? '' : content.slice(newline + 1), line);
  const sources = starts.filter((word) => !heredocStart.test(word));
  if (starts.length > 1 && !destination.endsWith('/') && destination !== '.') {
    throw dockerfileError(
      line,
      `${keyword} with more than one source needs a directory as destination, one that ends with /`,
    );
  }
  const url = keyword === 'ADD' ? sources.find((source) => remote.test(source)) : undefined;
  if (url !== undefined) {
    throw dockerfileError(
      line,
      `ADD of an address (${url}) is not supported by the built-in assembler; download it before, or use docker, podman, buildah or kaniko`,
    );
  }
  if (heredocs.length > 0 && from !== null) {
    throw dockerfileError(line, 'a heredoc cannot be copied with --from');
  }
  return {
    kind: 'copy',
    keyword,
    from,
    chown: values.get('chown')?.at(-1) ?? null,
    chmod: values.get('chmod')?.at(-1) ?? null,
    exclude: values.get('exclude') ?? [],
    unpack: keyword === 'ADD' && unpack,
    sources,
    heredocs,
    destination,
  };
}

/** `--link` changes how layers are cached, not what is in them. */
function switches(flags: readonly Flag[], keyword: string, line: number) {
  let unpack = true;
  const others: Flag[] = [];
  for (const flag of flags) {
    const isUnpack = keyword === 'ADD' && flag.name === 'unpack';
    if (flag.name !== 'link' && !isUnpack) {
      others.push(flag);
      continue;
    }
    if (flag.value !== null && flag.value !== 'true' && flag.value !== 'false') {
      throw dockerfileError(line, `--${flag.name} is true or false`);
    }
    if (isUnpack) unpack = flag.value !== 'false';
  }
  return { unpack, others };
}

function readHeredocs(words: readonly string[], body: string, line: number): readonly Heredoc[] {
  const lines = body.split('\n');
  let position = 0;
  const heredocs: Heredoc[] = [];
  for (const word of words) {
    const matched = heredocStart.exec(word);
    if (!matched) continue;
    const [, dash, quotes, name = ''] = matched;
    const text: string[] = [];
    for (;;) {
      const next = lines[position];
      if (next === undefined) throw dockerfileError(line, `the heredoc ${name} has no end`);
      position += 1;
      const stripped = (dash === '-' ? next.replace(/^\t+/, '') : next).replace(/\r$/, '');
      if (stripped === name) break;
      text.push(`${stripped}\n`);
    }
    heredocs.push({ name, body: text.join(''), expand: quotes === '' });
  }
  return heredocs;
}
