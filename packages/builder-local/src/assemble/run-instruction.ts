import { readFile } from 'node:fs/promises';
import { userError } from '../build-fault.ts';
import { expand, expandText } from '../dockerfile/expand.ts';
import type { CopyInstruction, Instruction } from '../dockerfile/instruction.ts';
import type { Plan } from '../dockerfile/stages.ts';
import type { TarLimits } from '../files/read-tar.ts';
import { type Content, type DirectoryNode, type Owner, splitPath } from '../files/tree.ts';
import { configure } from './configure.ts';
import { ensureDirectoryAt, type LayerEdit } from './layer-edit.ts';
import type { LayerStore } from './layer-store.ts';
import type { LayerWriter } from './layer-writer.ts';
import { runCopy } from './run-copy.ts';
import type { StageState } from './stage-state.ts';
import { resolveOwner } from './users.ts';

export interface InstructionContext {
  readonly plan: Plan;
  readonly state: StageState;
  /** The build context, without what is ignored. */
  readonly context: DirectoryNode;
  readonly readSource: (from: string, line: number) => Promise<DirectoryNode>;
  readonly buildArguments: Readonly<Record<string, string>>;
  /** Those that an ARG has asked for. */
  readonly usedArguments: Set<string>;
  readonly created: string;
  readonly store: LayerStore;
  readonly layers: LayerWriter;
  readonly limits: TarLimits;
  readonly signal: AbortSignal;
}

/** Does one instruction: changes the state's config or adds a layer to it. @throws BuildFault */
export async function runInstruction(
  instruction: Instruction,
  context: InstructionContext,
): Promise<void> {
  const { state, plan, store, created } = context;
  const environment = new Map([...state.arguments, ...state.environment]);
  const expandWord = (word: string) => expand(word, environment, plan.escapeMark);

  if (instruction.kind === 'copy' || instruction.kind === 'workdir') {
    const edit: LayerEdit = { root: await store.read(state), changes: new Map() };
    if (instruction.kind === 'copy') await copy(edit, instruction, instruction.line);
    else await changeDirectory(edit, expandWord(instruction.value));
    await context.layers.add(state, edit.changes);
    record(edit.changes.size === 0);
    return;
  }
  const isDone = configure(instruction, { state, expand: expandWord, argument });
  if (!isDone) throw userError(`${instruction.kind} cannot stand here`);
  record(true);

  function record(isEmpty: boolean): void {
    const empty = isEmpty ? { empty_layer: true } : {};
    state.history.push({ created, created_by: instruction.text, ...empty });
  }

  function argument(name: string, fallback: string | null): string | undefined {
    const { buildArguments, usedArguments } = context;
    usedArguments.add(name);
    if (Object.hasOwn(buildArguments, name)) return buildArguments[name];
    return fallback === null ? plan.globals.get(name) : expandWord(fallback);
  }

  async function copy(edit: LayerEdit, copied: CopyInstruction, line: number): Promise<void> {
    const { from } = copied;
    await runCopy(edit, copied, {
      from: from === null ? context.context : await context.readSource(from, line),
      workingDirectory: state.config.WorkingDir ?? '/',
      expand: expandWord,
      expandText: (text) => expandText(text, environment),
      readContent,
      open: async (content) => (await store.resolve([content]))(content),
      createDirectory: () => context.layers.createDirectory(),
      limits: context.limits,
      signal: context.signal,
    });
  }

  async function changeDirectory(edit: LayerEdit, path: string): Promise<void> {
    if (path === '') throw userError('WORKDIR needs a path');
    const { config } = state;
    const base = path.startsWith('/') ? '' : (config.WorkingDir ?? '');
    config.WorkingDir = `/${splitPath(`${base}/${path}`).join('/')}`;
    ensureDirectoryAt(edit, config.WorkingDir, await ownerOf(edit.root, config.User));
  }

  /** A user that the image does not know yet owns nothing. */
  async function ownerOf(root: DirectoryNode, user: string | undefined): Promise<Owner> {
    const nobody = { uid: 0, gid: 0 };
    return user ? resolveOwner(user, root, readContent).catch(() => nobody) : nobody;
  }

  async function readContent(content: Content): Promise<Uint8Array> {
    const found = (await store.resolve([content]))(content);
    return typeof found === 'string' ? readFile(found) : found;
  }
}
