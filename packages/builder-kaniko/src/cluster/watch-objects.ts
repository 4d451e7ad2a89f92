import { setTimeout as delay } from 'node:timers/promises';
import { abortedError, type Call } from '@cygni/core';
import type { ZodType } from 'zod';
import type { ClusterClient } from './client.ts';
import type { ClusterConnection } from './connection.ts';
import { listSchema, watchEventSchema } from './objects.ts';
import { retryAfterMs } from './retry-after.ts';

/** The server is asked to end a watch after this. */
const watchSeconds = 240;
/** A server sends a bookmark every minute: a watch that says nothing for longer looks alive and is not. */
const longestSilenceMs = 75_000;
const pageSize = 500;

interface Named {
  readonly metadata?: { readonly name?: string };
}

/** What is known of the objects that one watch covers. */
export interface ObjectWatch<Value> {
  get(key: string): Value | undefined;
  all(): Iterable<Value>;
  /** `listener` hears of every change of the key's object, and of its end (`undefined`). Returns how to stop it. */
  subscribe(key: string, listener: (value: Value | undefined) => void): () => void;
  /** Resolves once the first list is complete, or rejects with `aborted`. */
  synced(signal: AbortSignal): Promise<void>;
}

export interface WatchOptions<Value> {
  readonly connection: ClusterConnection;
  readonly client: ClusterClient;
  /** `/apis/batch/v1/namespaces/builds/jobs` */
  readonly path: string;
  readonly labelSelector: string;
  readonly schema: ZodType<Value>;
  /** What listeners ask for: of two objects with one key, the one that was heard of last. */
  readonly keyOf: (value: Value) => string;
  /** After which a watch counts as dead. Default: 75 s. */
  readonly silenceMs?: number;
}

/**
 * Follows all objects under a path by one list and one watch, until the call is aborted. Lists anew when the server has
 * forgotten where the watch was (410, which may come inside a stream) and after a watch that fell silent.
 */
export function watchObjects<Value extends Named>(
  options: WatchOptions<Value>,
  call: Call,
): ObjectWatch<Value> {
  const { connection, client, path, labelSelector, schema, keyOf } = options;
  const { silenceMs = longestSilenceMs } = options;
  const known = new Map<string, Value>();
  const newest = new Map<string, string>();
  const listeners = new Map<string, Set<(value: Value | undefined) => void>>();
  const first = Promise.withResolvers<void>();

  function put(value: Value): void {
    const name = nameOf(value);
    const key = keyOf(value);
    known.set(name, value);
    newest.set(key, name);
    for (const listener of listeners.get(key) ?? []) listener(value);
  }

  function remove(name: string): void {
    const value = known.get(name);
    if (!value) return;
    known.delete(name);
    const key = keyOf(value);
    if (newest.get(key) !== name) return;
    newest.delete(key);
    for (const listener of listeners.get(key) ?? []) listener(undefined);
  }

  async function list(): Promise<string> {
    const seen = new Set<string>();
    let version = '';
    let from: string | undefined;
    do {
      const answer = await client.send(
        `list of ${path}`,
        {
          method: 'GET',
          path,
          query: { labelSelector, limit: pageSize, ...(from && { continue: from }) },
        },
        call,
      );
      const { items, metadata } = listSchema.parse(answer);
      version = metadata.resourceVersion;
      from = metadata.continue;
      for (const item of items) {
        const value = schema.parse(item);
        seen.add(nameOf(value));
        put(value);
      }
    } while (from);
    for (const name of [...known.keys()]) if (!seen.has(name)) remove(name);
    first.resolve();
    return version;
  }

  /** Returns the version to go on from; null: list anew. */
  async function watch(start: string): Promise<string | null> {
    let version = start;
    const { statusCode, headers, body } = await connection.request({
      method: 'GET',
      path,
      query: {
        labelSelector,
        watch: true,
        allowWatchBookmarks: true,
        resourceVersion: version,
        timeoutSeconds: watchSeconds,
      },
      signal: call.signal,
      bodyTimeoutMs: silenceMs,
    });
    if (statusCode !== 200) {
      await body.dump();
      if (statusCode === 410) return null;
      const pause = retryAfterMs(headers);
      if (pause !== null) await delay(pause, undefined, { signal: call.signal });
      throw new Error(`the watch of ${path} was answered ${statusCode}`);
    }
    for await (const line of linesOf(body)) {
      const { type, object } = watchEventSchema.parse(JSON.parse(line));
      if (type === 'ERROR') return null;
      version = object.metadata?.resourceVersion ?? version;
      if (type === 'BOOKMARK') continue;
      const value = schema.parse(object);
      // What is deleted comes in its last state, which may tell why.
      put(value);
      if (type === 'DELETED') remove(nameOf(value));
    }
    return version;
  }

  async function run(): Promise<void> {
    let version: string | null = null;
    let failures = 0;
    while (!call.signal.aborted) {
      const began = performance.now();
      try {
        version = version === null ? await list() : await watch(version);
        // A server that ends each watch at once must not be asked without a pause.
        if (version !== null && performance.now() - began > 1_000) failures = 0;
        else if (version !== null) failures = Math.min(failures, 1);
      } catch (error) {
        if (call.signal.aborted) return;
        call.log.warn({ err: error, path }, 'a watch was interrupted');
        // What was missed is in the list, also where the version is still known.
        version = null;
        failures += 1;
        const wait = Math.min(100 * 2 ** failures, 5_000) * (0.5 + Math.random());
        await delay(wait, undefined, { signal: call.signal }).catch(() => {});
      }
    }
  }

  run().catch((error) => call.log.error({ err: error, path }, 'a watch has ended'));

  return {
    get: (key) => known.get(newest.get(key) ?? ''),
    all: () => known.values(),
    subscribe(key, listener) {
      const those = listeners.get(key) ?? new Set();
      listeners.set(key, those.add(listener));
      return () => {
        those.delete(listener);
        if (those.size === 0) listeners.delete(key);
      };
    },
    synced(signal) {
      return new Promise((resolve, reject) => {
        const abort = () => reject(abortedError(signal));
        if (signal.aborted) return abort();
        signal.addEventListener('abort', abort, { once: true });
        first.promise.then(resolve).finally(() => signal.removeEventListener('abort', abort));
      });
    },
  };
}

function nameOf(value: Named): string {
  return value.metadata?.name ?? '';
}

async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line) yield line;
  }
}
