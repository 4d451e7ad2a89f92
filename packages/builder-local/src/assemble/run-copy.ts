import { userError } from '../build-fault.ts';
import type { CopyInstruction } from '../dockerfile/instruction.ts';
import { compileIgnore } from '../files/dockerignore.ts';
import type { TarLimits } from '../files/read-tar.ts';
import { followPath } from '../files/resolve-path.ts';
import { type Content, type DirectoryNode, splitPath } from '../files/tree.ts';
import { addArchive, isArchive } from './add-archive.ts';
import { type CopyRequest, copyFiles, matchSources } from './copy-files.ts';
import type { LayerEdit } from './layer-edit.ts';
import { type ReadContent, resolveOwner } from './users.ts';

export interface CopyContext {
  /** What is copied from: the build context, another stage, an image. */
  readonly from: DirectoryNode;
  readonly workingDirectory: string;
  readonly expand: (word: string) => string;
  readonly expandText: (text: string) => string;
  readonly readContent: ReadContent;
  readonly open: (content: Content) => Promise<string | Uint8Array>;
  /** A new directory on disk for the bytes of an archive that ADD unpacks. */
  readonly createDirectory: () => Promise<string>;
  readonly limits: TarLimits;
  readonly signal: AbortSignal;
}

/** COPY and ADD. @throws BuildFault */
export async function runCopy(
  edit: LayerEdit,
  instruction: CopyInstruction,
  context: CopyContext,
): Promise<void> {
  const { expand, from } = context;
  const destination = absoluteDestination(
    expand(instruction.destination),
    context.workingDirectory,
  );
  const chown = instruction.chown === null ? '' : expand(instruction.chown);
  const owner = chown === '' ? null : await resolveOwner(chown, edit.root, context.readContent);
  const mode = instruction.chmod === null ? null : readMode(expand(instruction.chmod));
  const excluded =
    instruction.exclude.length === 0 ? null : compileIgnore(instruction.exclude.map(expand));
  const shared = { destination, owner, mode, excluded };

  for (const word of instruction.sources) {
    const source = expand(word);
    if (source === '') throw userError('a source is empty');
    for (const matched of matchSources(from, source)) {
      const file = instruction.unpack ? followPath(from, matched) : undefined;
      const path = file?.kind === 'file' ? await context.open(file.content) : undefined;
      if (typeof path === 'string' && (await isArchive(path))) {
        const { limits, signal } = context;
        const directory = await context.createDirectory();
        await addArchive(edit, {
          archive: path,
          destination,
          owner,
          mode,
          directory,
          limits,
          signal,
        });
      } else copyFiles(edit, { ...shared, from, source: matched });
    }
  }
  for (const request of heredocRequests(instruction, context.expandText))
    copyFiles(edit, { ...shared, ...request });
}

function heredocRequests(
  { heredocs }: CopyInstruction,
  expandText: (text: string) => string,
): readonly Pick<CopyRequest, 'from' | 'source'>[] {
  return heredocs.map(({ name, body, expand }) => {
    const bytes = Buffer.from(expand ? expandText(body) : body);
    const content = { kind: 'bytes', bytes } as const;
    const file = {
      kind: 'file',
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: bytes.length,
      content,
    } as const;
    return {
      from: { kind: 'directory', mode: 0o755, uid: 0, gid: 0, children: new Map([[name, file]]) },
      source: name,
    };
  });
}

function absoluteDestination(path: string, workingDirectory: string): string {
  const isDirectory = path === '' || path === '.' || path.endsWith('/') || path.endsWith('/.');
  const parts = splitPath(path.startsWith('/') ? path : `${workingDirectory}/${path}`);
  const joined = `/${parts.join('/')}`;
  return isDirectory && joined !== '/' ? `${joined}/` : joined;
}

function readMode(text: string): number {
  if (!/^0?[0-7]{1,4}$/.test(text)) {
    throw userError(
      `--chmod=${text} is not an octal mode like 755 (other forms are not supported)`,
    );
  }
  return Number.parseInt(text, 8);
}
