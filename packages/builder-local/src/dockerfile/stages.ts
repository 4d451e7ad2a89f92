import { dockerfileError, userError } from '../build-fault.ts';
import { type Environment, expand } from './expand.ts';
import type { Instruction } from './instruction.ts';
import type { Dockerfile } from './parse-dockerfile.ts';

type StageBase =
  | { readonly kind: 'scratch' }
  | { readonly kind: 'stage'; readonly index: number }
  | { readonly kind: 'image'; readonly reference: string };

export interface Stage {
  readonly index: number;
  readonly name: string | null;
  readonly base: StageBase;
  readonly from: Instruction;
  readonly instructions: readonly Instruction[];
}

export interface Plan {
  readonly escapeMark: string;
  /** Arguments declared before the first FROM, and those that are always there. */
  readonly globals: Environment;
  /** All stages, in order. */
  readonly stages: readonly Stage[];
  /** The stages that the target is made from, in order; the target is the last. */
  readonly needed: readonly Stage[];
}

export interface PlanInput {
  readonly target: string | null;
  readonly buildArguments: Readonly<Record<string, string>>;
  readonly platform: { readonly os: string; readonly architecture: string };
}

/** Splits a Dockerfile into stages and finds those that the target needs. @throws BuildFault */
export function planStages({ escapeMark, instructions }: Dockerfile, input: PlanInput): Plan {
  const first = instructions.findIndex((each) => each.kind === 'from');
  if (first < 0) throw userError('the Dockerfile has no FROM');
  const globals = readGlobals(instructions.slice(0, first), escapeMark, input);

  const stages: Stage[] = [];
  let body: Instruction[] = [];
  for (const instruction of instructions.slice(first)) {
    if (instruction.kind !== 'from') {
      body.push(instruction);
      continue;
    }
    const word = at(instruction.line, () => expand(instruction.image, globals, escapeMark));
    if (word === '') throw dockerfileError(instruction.line, 'FROM names no image');
    if (instruction.platform !== null) {
      const asked = at(instruction.line, () =>
        expand(instruction.platform ?? '', globals, escapeMark),
      );
      requirePlatform(asked, input.platform, instruction.line);
    }
    body = [];
    stages.push({
      index: stages.length,
      name: instruction.name,
      base: findBase(word, stages),
      from: instruction,
      instructions: body,
    });
  }
  return {
    escapeMark,
    globals,
    stages,
    needed: findNeeded(stages, findTarget(stages, input.target)),
  };
}

function readGlobals(
  instructions: readonly Instruction[],
  escapeMark: string,
  { buildArguments, platform, target }: PlanInput,
): Environment {
  const globals = new Map<string, string>();
  const name = `${platform.os}/${platform.architecture}`;
  for (const prefix of ['TARGET', 'BUILD']) {
    globals.set(`${prefix}PLATFORM`, name);
    globals.set(`${prefix}OS`, platform.os);
    globals.set(`${prefix}ARCH`, platform.architecture);
    globals.set(`${prefix}VARIANT`, '');
  }
  globals.set('TARGETSTAGE', target ?? 'default');
  for (const instruction of instructions) {
    if (instruction.kind !== 'arg') {
      throw dockerfileError(instruction.line, 'only ARG may stand before the first FROM');
    }
    for (const { name, value } of instruction.arguments) {
      const given = Object.hasOwn(buildArguments, name) ? buildArguments[name] : undefined;
      const chosen =
        given ??
        (value === null
          ? undefined
          : at(instruction.line, () => expand(value, globals, escapeMark)));
      if (chosen !== undefined) globals.set(name, chosen);
    }
  }
  return globals;
}

function requirePlatform(asked: string, platform: PlanInput['platform'], line: number): void {
  const [os, architecture] = asked.split('/');
  if (os === platform.os && (architecture ?? platform.architecture) === platform.architecture)
    return;
  throw dockerfileError(
    line,
    `this builder makes images for ${platform.os}/${platform.architecture} only, not for ${asked}`,
  );
}

function findBase(word: string, stages: readonly Stage[]): StageBase {
  const earlier = stages.findLast((stage) => stage.name === word.toLowerCase());
  if (earlier) return { kind: 'stage', index: earlier.index };
  return word === 'scratch' ? { kind: 'scratch' } : { kind: 'image', reference: word };
}

function findTarget(stages: readonly Stage[], target: string | null): Stage {
  const found = target === null ? stages.at(-1) : findStage(stages, target);
  if (!found) throw userError(`the Dockerfile has no stage ${JSON.stringify(target)}`);
  return found;
}

/** By name, or by its number from 0. */
function findStage(stages: readonly Stage[], word: string): Stage | undefined {
  return (
    stages.findLast((stage) => stage.name === word.toLowerCase()) ??
    (/^[0-9]{1,4}$/.test(word) ? stages[Number(word)] : undefined)
  );
}

function findNeeded(stages: readonly Stage[], target: Stage): readonly Stage[] {
  const needed = new Set<Stage>();
  // Only earlier stages can be referred to, so one pass from the back sees every need.
  needed.add(target);
  for (const stage of stages.slice(0, target.index + 1).toReversed()) {
    if (!needed.has(stage)) continue;
    const base = stage.base.kind === 'stage' ? stages[stage.base.index] : undefined;
    if (base) needed.add(base);
    for (const instruction of stage.instructions) {
      if (instruction.kind !== 'copy' || instruction.from === null) continue;
      const source = copySource(stages.slice(0, stage.index), instruction.from, instruction.line);
      if (source) needed.add(source);
    }
  }
  return stages.filter((stage) => needed.has(stage));
}

/** The stage that `--from` names; undefined: it is an image. */
export function copySource(
  earlier: readonly Stage[],
  from: string,
  line: number,
): Stage | undefined {
  const found = findStage(earlier, from);
  if (!found && /^[0-9]+$/.test(from)) {
    throw dockerfileError(line, `--from=${from}: there is no such stage before this one`);
  }
  return found;
}

/** Names the line in what `work` throws. */
function at<Result>(line: number, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw dockerfileError(line, error instanceof Error ? error.message : String(error), error);
  }
}
