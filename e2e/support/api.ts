import { type Build, isTerminalBuildState, type LogLine } from '@cygni/core';
import { createApiClient } from '../../examples/demo/src/api-client.ts';
import { packArchive } from './archive.ts';
import { eventually } from './eventually.ts';

export type FinishedBuild = Build & { readonly image: { readonly reference: string } | null };

/** A user's view of the server, over HTTP. */
export interface Api {
  /** Uploads the files and starts a build of them. */
  build(files: Readonly<Record<string, string | Uint8Array>>, request?: object): Promise<Build>;
  upload(files: Readonly<Record<string, string | Uint8Array>>): Promise<string>;
  start(request: object): Promise<Build>;
  get(id: string): Promise<FinishedBuild>;
  /** Resolves when the server has taken it in; the build ends later. */
  cancel(id: string): Promise<Build>;
  /** Resolves when it has ended, well or not. Asks each time that an interval is over. */
  finish(id: string, timeoutMs?: number, intervalMs?: number): Promise<FinishedBuild>;
  /** The lines so far and those to come, until the build has ended. */
  followLog(id: string): AsyncIterable<string>;
  /** The same, with the time at which each was printed. */
  followLines(id: string): AsyncIterable<LogLine>;
  readLog(id: string): Promise<string>;
  /** Resolves when a line holds the text. */
  waitForLine(id: string, text: string): Promise<void>;
}

/** Starting, pulling and pushing on a small cluster that does other things too. */
const buildTimeoutMs = 150_000;

export function createApi(url: string, token: string): Api {
  const client = createApiClient(url, token, new AbortController().signal);

  async function upload(files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
    const { id } = await client.upload(await packArchive(files));
    return id;
  }

  async function readLog(id: string): Promise<string> {
    const lines: string[] = [];
    for await (const line of client.followLog(id)) lines.push(line);
    return lines.join('\n');
  }

  return {
    upload,
    start: (request) => client.build(request),
    async build(files, request = {}) {
      return client.build({ sourceId: await upload(files), repository: 'app', ...request });
    },
    get: (id) => client.getBuild(id),
    cancel: (id) => client.cancelBuild(id),
    async finish(id, timeoutMs = buildTimeoutMs, intervalMs) {
      return eventually(
        async () => {
          // A server that is being replaced answers nothing.
          const build = await client.getBuild(id).catch(() => null);
          return build && isTerminalBuildState(build.state) && build;
        },
        timeoutMs,
        intervalMs,
      );
    },
    followLog: (id) => client.followLog(id),
    followLines: (id) => client.followLines(id),
    readLog,
    async waitForLine(id, text) {
      for await (const line of client.followLog(id)) {
        if (line.includes(text)) return;
      }
      throw new Error(`the build ended without the line: ${text}`);
    },
  };
}
