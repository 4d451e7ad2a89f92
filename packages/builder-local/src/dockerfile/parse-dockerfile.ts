import { type Instruction as AstInstruction, DockerfileParser } from 'dockerfile-ast';
import { dockerfileError, userError } from '../build-fault.ts';
import type { Instruction } from './instruction.ts';
import { parseInstruction } from './parse-instruction.ts';

const maximumLength = 256 * 1024;

export interface Dockerfile {
  /** The escapeMark character: `\` or a backquote. */
  readonly escapeMark: string;
  readonly instructions: readonly Instruction[];
}

/** @throws BuildFault that names the line of what is unknown or malformed */
export function parseDockerfile(text: string): Dockerfile {
  if (text.length > maximumLength) throw userError('the Dockerfile is larger than 256 KiB');
  const source = text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n');
  const parsed = DockerfileParser.parse(source);
  const escapeMark = parsed.getEscapeCharacter();
  const lines = source.split('\n');
  const instructions = parsed
    .getInstructions()
    .map((each) => toInstruction(each, lines, escapeMark, each.getRange().start.line + 1));
  if (instructions.length === 0) throw userError('the Dockerfile has no instructions');
  return { escapeMark, instructions };
}

/** An instruction that was recorded by ONBUILD in a base image. `line` is that of the FROM. */
export function parseTrigger(trigger: string, escapeMark: string, line: number): Instruction {
  const [parsed, ...more] = DockerfileParser.parse(trigger).getInstructions();
  if (!parsed || more.length > 0) {
    throw dockerfileError(line, `the base image has a malformed ONBUILD trigger: ${trigger}`);
  }
  const keyword = parsed.getInstruction().toUpperCase();
  if (keyword === 'FROM' || keyword === 'ONBUILD' || keyword === 'MAINTAINER') {
    throw dockerfileError(line, `ONBUILD ${keyword} is not allowed`);
  }
  return toInstruction(parsed, trigger.split('\n'), escapeMark, line);
}

function toInstruction(
  parsed: AstInstruction,
  lines: readonly string[],
  escapeMark: string,
  line: number,
): Instruction {
  const keyword = parsed.getInstruction().toUpperCase();
  const { end } = parsed.getRange();
  const { line: firstLine, character } = parsed.getInstructionRange().end;
  const body = lines.slice(firstLine, end.line + 1);
  body[0] = (body[0] ?? '').slice(character);
  const hasHeredoc =
    (keyword === 'COPY' || keyword === 'ADD') && /<<-?["']?[A-Za-z_]/.test(body[0]);
  const content = (hasHeredoc ? body.join('\n') : joinLines(body, escapeMark)).trim();
  const shown = content.split('\n', 1)[0] ?? '';
  const text = `${keyword} ${shown.replace(/\s+/g, ' ')}`.trim();
  return { ...parseInstruction(keyword, content, escapeMark, line), line, text };
}

/** Joins continued lines; those that are empty or a comment in between do not count. */
function joinLines(lines: readonly string[], escapeMark: string): string {
  let joined = '';
  for (const [index, line] of lines.entries()) {
    if (index > 0 && (line.trim() === '' || line.trimStart().startsWith('#'))) continue;
    const trimmed = line.trimEnd();
    joined += trimmed.endsWith(escapeMark) ? trimmed.slice(0, -1) : line;
  }
  return joined;
}
