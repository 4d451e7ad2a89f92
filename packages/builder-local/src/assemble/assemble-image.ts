import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BuildJob, type Call, type ImageClient, mediaTypes, readImage } from '@cygni/core';
import {
  dockerfileError,
  isBuildFault,
  pulling,
  throwIfAborted,
  userError,
} from '../build-fault.ts';
import { expand, expandText } from '../dockerfile/expand.ts';
import type { Instruction } from '../dockerfile/instruction.ts';
import { parseTrigger } from '../dockerfile/parse-dockerfile.ts';
import { refuseRun } from '../dockerfile/refuse-run.ts';
import { copySource, type Plan, type Stage } from '../dockerfile/stages.ts';
import type { Content, DirectoryNode, Node } from '../files/tree.ts';
import { type BuiltImage, composeImage } from '../image/built-image.ts';
import { locate, parseImageReference } from '../image/image-reference.ts';
import type { Limits } from '../options.ts';
import { configure } from './configure.ts';
import { ensureDirectoryAt, type LayerEdit } from './layer-edit.ts';
import { createLayerStore } from './layer-store.ts';
import { type CopyContext, runCopy } from './run-copy.ts';
import { type StageState, scratchState, stateFromImage, stateFromStage } from './stage-state.ts';
import { resolveOwner } from './users.ts';
import { writeConfig } from './write-config.ts';
import { writeLayer } from './write-layer.ts';

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
  const { job, plan, images, platform, directory, limits, write, call } = input;
  refuseRun(plan.needed.flatMap((stage) => stage.instructions));
  const epoch = readEpoch(job.buildArguments);
  const created = new Date(epoch * 1000).toISOString().replace('.000Z', 'Z');
  const store = createLayerStore({ images, directory, limits, call });
  const states = new Map<number, StageState>();
  const pulled = new Map<string, Promise<StageState>>();
  const used = new Set<string>();
  const total = plan.needed.reduce((sum, stage) => sum + 1 + stage.instructions.length, 0);
  let step = 0;
  let layerCount = 0;
  let layerBudget = limits.imageBytes;

  for (const stage of plan.needed) await runStage(stage);
  const unused = Object.keys(job.buildArguments).filter((name) => !used.has(name));
  if (unused.length > 0) await write(`warning: build arguments not used: ${unused.join(', ')}`);
  const target = plan.needed.at(-1);
  const state = target && states.get(target.index);
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
    const triggers = state.config.OnBuild ?? [];
    delete state.config.OnBuild;
    const { line } = stage.from;
    const instructions = triggers.map((each) => parseTrigger(each, plan.escapeMark, line));
    refuseRun(instructions);
    for (const instruction of instructions) {
      await write(`[${step}/${total}] ONBUILD ${instruction.text}`);
      await named(instruction, () => runInstruction(instruction, stage, state));
    }
    for (const instruction of stage.instructions) {
      throwIfAborted(call.signal);
      step += 1;
      await write(`[${step}/${total}] ${instruction.text}`);
      await named(instruction, () => runInstruction(instruction, stage, state));
    }
  }

  async function startStage({ base }: Stage): Promise<StageState> {
    if (base.kind === 'scratch') return scratchState();
    if (base.kind === 'image') return stateFromStage(await pull(base.reference));
    const earlier = states.get(base.index);
    if (!earlier) throw userError('a stage can only begin with an earlier one');
    return stateFromStage(earlier);
  }

  function pull(reference: string): Promise<StageState> {
    const known = pulled.get(reference);
    if (known) return known;
    const image = parseImageReference(reference);
    const location = locate(image, job);
    const reading = pulling(reference, async () => {
      const found = await readImage(images, location, image.reference, platform, call);
      await write(`using ${image.host}/${image.repository}@${found.digest}`);
      return stateFromImage(found, location);
    });
    pulled.set(reference, reading);
    return reading;
  }

  async function readTree(state: StageState): Promise<DirectoryNode> {
    for (let next = state.unread[0]; next; next = state.unread[0]) {
      await store.apply(state.root, next.location, next.layer);
      state.unread.shift();
    }
    return state.root;
  }

  async function readContent(content: Content): Promise<Uint8Array> {
    const found = (await store.resolve([content]))(content);
    return typeof found === 'string' ? readFile(found) : found;
  }

  async function runInstruction(
    instruction: Instruction,
    stage: Stage,
    state: StageState,
  ): Promise<void> {
    const environment = new Map([...state.arguments, ...state.environment]);
    const expandWord = (word: string) => expand(word, environment, plan.escapeMark);
    const history = (isEmpty: boolean) =>
      state.history.push({
        created,
        created_by: instruction.text,
        ...(isEmpty ? { empty_layer: true } : {}),
      });
    if (instruction.kind === 'copy' || instruction.kind === 'workdir') {
      const edit: LayerEdit = { root: await readTree(state), changes: new Map() };
      if (instruction.kind === 'copy') {
        await runCopy(edit, instruction, await copyContext(instruction.from));
      } else await changeDirectory(expandWord(instruction.value));
      await addLayer(state, edit.changes);
      history(edit.changes.size === 0);

      async function changeDirectory(path: string) {
        if (path === '') throw userError('WORKDIR needs a path');
        const directory = absolute(path, state.config.WorkingDir);
        state.config.WorkingDir = directory;
        const user = state.config.User;
        const owner = user
          ? await resolveOwner(user, edit.root, readContent).catch(() => ({ uid: 0, gid: 0 }))
          : { uid: 0, gid: 0 };
        ensureDirectoryAt(edit, directory, owner);
      }

      async function copyContext(from: string | null): Promise<CopyContext> {
        return {
          from: from === null ? input.context : await readSource(from),
          workingDirectory: state.config.WorkingDir ?? '/',
          expand: expandWord,
          expandText: (text) => expandText(text, environment),
          readContent,
          open: async (content) => (await store.resolve([content]))(content),
          createDirectory: async () => {
            layerCount += 1;
            const path = join(directory, `added-${layerCount}`);
            await mkdir(path);
            return path;
          },
          limits: { bytes: limits.imageBytes, entries: limits.entries },
          signal: call.signal,
        };
      }

      async function readSource(from: string): Promise<DirectoryNode> {
        const earlier = plan.stages.slice(0, stage.index);
        const source = copySource(earlier, from, instruction.line);
        const found = source ? states.get(source.index) : await pull(from);
        if (!found) throw userError(`--from=${from} is not a stage before this one`);
        return readTree(found);
      }
      return;
    }
    const done = configure(instruction, {
      state,
      expand: expandWord,
      argument: (name, fallback) => {
        used.add(name);
        const { buildArguments } = job;
        if (Object.hasOwn(buildArguments, name)) return buildArguments[name];
        return fallback === null ? plan.globals.get(name) : expandWord(fallback);
      },
    });
    if (!done) throw userError(`${instruction.kind} cannot stand here`);
    history(true);
  }

  async function addLayer(state: StageState, changes: ReadonlyMap<string, Node>): Promise<void> {
    if (changes.size === 0) return;
    layerCount += 1;
    const contents = [...changes.values()].flatMap((node) =>
      node.kind === 'file' ? [node.content] : [],
    );
    const layer = await writeLayer({
      changes,
      read: await store.resolve(contents),
      path: join(directory, `layer-${layerCount}.tar.gz`),
      mtime: epoch,
      maximumBytes: layerBudget,
      signal: call.signal,
    });
    layerBudget -= layer.sizeBytes;
    state.layers.push({
      descriptor: {
        mediaType: mediaTypes.ociLayerGzip,
        digest: layer.digest,
        size: layer.sizeBytes,
      },
      diffId: layer.diffId,
      path: layer.path,
      from: undefined,
    });
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

function absolute(path: string, base: string | undefined): string {
  const joined = path.startsWith('/') ? path : `${base ?? '/'}/${path}`;
  return join('/', joined).replace(/(?<=.)\/$/, '');
}

function readEpoch(buildArguments: Readonly<Record<string, string>>): number {
  const text = new Map(Object.entries(buildArguments)).get('SOURCE_DATE_EPOCH');
  if (text === undefined || text === '') return 0;
  if (!/^[0-9]{1,11}$/.test(text)) throw userError('SOURCE_DATE_EPOCH is a number of seconds');
  return Number(text);
}
