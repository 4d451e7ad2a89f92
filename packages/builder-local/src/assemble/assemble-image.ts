import type { BuildJob, Call, ImageClient } from '@cygni/core';
import { dockerfileError, isBuildFault, throwIfAborted, userError } from '../build-fault.ts';
import type { Instruction } from '../dockerfile/instruction.ts';
import { parseTrigger } from '../dockerfile/parse-dockerfile.ts';
import { refuseRun } from '../dockerfile/refuse-run.ts';
import { copySource, type Plan, type Stage } from '../dockerfile/stages.ts';
import type { DirectoryNode } from '../files/tree.ts';
import { type BuiltImage, composeImage } from '../image/built-image.ts';
import type { Limits } from '../options.ts';
import { createLayerStore } from './layer-store.ts';
import { createLayerWriter } from './layer-writer.ts';
import { createBasePuller } from './pull-base.ts';
import { type InstructionContext, runInstruction } from './run-instruction.ts';
import { type StageState, scratchState, stateFromStage } from './stage-state.ts';
import { writeConfig } from './write-config.ts';

export interface AssembleInput {
  readonly job: BuildJob;
  readonly plan: Plan;
  readonly context: DirectoryNode;
  readonly images: ImageClient;
  readonly platform: { readonly os: string; readonly architecture: string };
  /** Existing and empty; holds the layers until they are pushed. */
  readonly directory: string;
  readonly limits: Limits;
  readonly write: (line: string) => Promise<void>;
  readonly call: Call;
}

/** Builds the target stage and all that it needs. The same plan, context and base images give the same bytes on any machine. */
export async function assembleImage(input: AssembleInput): Promise<BuiltImage> {
  const { job, plan, platform, limits, write, call } = input;
  const epoch = readEpoch(job.buildArguments);
  const created = new Date(epoch * 1000).toISOString().replace('.000Z', 'Z');
  const store = createLayerStore(input);
  const pull = createBasePuller(input);
  const states = new Map<number, StageState>();
  const total = plan.needed.reduce((sum, stage) => sum + 1 + stage.instructions.length, 0);
  let step = 0;
  const shared = {
    plan,
    context: input.context,
    buildArguments: job.buildArguments,
    usedArguments: new Set<string>(),
    created,
    store,
    layers: createLayerWriter({ ...input, store, epoch }),
    limits: { ...limits, bytes: limits.imageBytes },
    signal: call.signal,
  };

  for (const stage of plan.needed) await runStage(stage);
  const unused = Object.keys(job.buildArguments).filter((each) => !shared.usedArguments.has(each));
  if (unused.length > 0) await write(`warning: build arguments not used: ${unused.join(', ')}`);
  const state = states.get(plan.needed.at(-1)?.index ?? -1);
  if (!state) throw userError('the Dockerfile has no stage');
  return composeImage(
    writeConfig(state, platform, created),
    state.layers.map((layer) => ({
      ...layer,
      path: layer.path ?? store.downloaded(layer.descriptor.digest),
    })),
  );

  async function runStage(stage: Stage): Promise<void> {
    step += 1;
    await write(`[${step}/${total}] ${stage.from.text}`);
    const state = await named(stage.from, () => startStage(stage));
    states.set(stage.index, state);
    const context: InstructionContext = {
      ...shared,
      state,
      readSource: (from, line) => readSource(stage, from, line),
    };
    const triggers = state.config.OnBuild ?? [];
    delete state.config.OnBuild;
    const { line } = stage.from;
    const instructions = triggers.map((each) => parseTrigger(each, plan.escapeMark, line));
    refuseRun(instructions);
    for (const instruction of instructions) {
      await write(`[${step}/${total}] ONBUILD ${instruction.text}`);
      await named(instruction, () => runInstruction(instruction, context));
    }
    for (const instruction of stage.instructions) {
      throwIfAborted(call.signal);
      step += 1;
      await write(`[${step}/${total}] ${instruction.text}`);
      await named(instruction, () => runInstruction(instruction, context));
    }
  }

  async function startStage({ base }: Stage): Promise<StageState> {
    if (base.kind === 'scratch') return scratchState();
    if (base.kind === 'image') return stateFromStage(await pull(base.reference));
    const earlier = states.get(base.index);
    if (!earlier) throw userError('a stage can only begin with an earlier one');
    return stateFromStage(earlier);
  }

  /** The files of what `--from` names. */
  async function readSource(stage: Stage, from: string, line: number): Promise<DirectoryNode> {
    const source = copySource(plan.stages.slice(0, stage.index), from, line);
    const found = source ? states.get(source.index) : await pull(from);
    if (!found) throw userError(`--from=${from} is not a stage before this one`);
    return store.read(found);
  }
}

/** Names the line in what goes wrong by the tenant's doing. */
async function named<Result>(instruction: Instruction, work: () => Promise<Result>) {
  try {
    return await work();
  } catch (error) {
    if (!isBuildFault(error) || error.reason !== 'user_error') throw error;
    if (error.message.startsWith('Dockerfile line ')) throw error;
    throw dockerfileError(instruction.line, `${instruction.text}: ${error.message}`, error);
  }
}

function readEpoch(buildArguments: Readonly<Record<string, string>>): number {
  const text = new Map(Object.entries(buildArguments)).get('SOURCE_DATE_EPOCH');
  if (text === undefined || text === '') return 0;
  if (!/^[0-9]{1,11}$/.test(text)) throw userError('SOURCE_DATE_EPOCH is a number of seconds');
  return Number(text);
}
