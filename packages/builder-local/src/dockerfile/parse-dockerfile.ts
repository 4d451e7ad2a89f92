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
  const parsed = DockerfileParser.parse(text.replace(/^\uFEFF/, ''));
  const escapeMark = parsed.getEscapeCharacter();
  const instructions = parsed.getInstructions().map((each) => read(each, escapeMark));
  if (instructions.length === 0) throw userError('the Dockerfile has no instructions');
  return { escapeMark, instructions };
}

function read(instruction: AstInstruction, escapeMark: string): Instruction {
  const line = instruction.getRange().start.line + 1;
  const keyword = instruction.getInstruction().toUpperCase();
  const raw = instruction.getRawArgumentsContent() ?? '';
  const isHeredoc = /^[^\n]*<<-?["']?[A-Za-z_]/.test(raw) && raw.includes('\n');
  const content = isHeredoc ? raw : (instruction.getArgumentsContent() ?? '');
  return toInstruction(keyword, content, escapeMark, line);
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
  return toInstruction(keyword, parsed.getArgumentsContent() ?? '', escapeMark, line);
}

function toInstruction(
  keyword: string,
  content: string,
  escapeMark: string,
  line: number,
): Instruction {
  const firstLine = content.split('\n', 1)[0] ?? '';
  const text = `${keyword} ${firstLine.replace(/\s+/g, ' ').trim()}`.trim();
  return { ...parseInstruction(keyword, content.trim(), escapeMark, line), line, text };
}
