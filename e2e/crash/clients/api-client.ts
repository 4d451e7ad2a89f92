import { gzipSync } from 'node:zlib';
import { z } from 'zod';
import { buildTimeoutSeconds } from '../child/budget.ts';

const requestTimeoutMs = 2_500;

const buildSchema = z.object({ id: z.uuid(), state: z.string() });
export type BuildAnswer = z.output<typeof buildSchema>;
const sourceSchema = z.object({ id: z.uuid() });

/** `uncertain`: no answer, or one that says nothing of what happened. */
export type Answer<Body> =
  | { readonly outcome: 'ok'; readonly body: Body }
  | { readonly outcome: 'refused'; readonly status: number; readonly said: string }
  | { readonly outcome: 'uncertain' };

export interface ApiClient {
  upload(tenantId: string): Promise<Answer<{ id: string }>>;
  /** The build carries its key, so that two builds of one key would show. */
  accept(tenantId: string, sourceId: string, key: string): Promise<Answer<BuildAnswer>>;
  cancel(tenantId: string, id: string): Promise<Answer<BuildAnswer>>;
  setBudget(tenantId: string, limit: number): Promise<Answer<unknown>>;
}

/** Asks one of the API processes that there are; `port` null: there is none now. */
export function createApiClient(port: () => number | null, signal: AbortSignal): ApiClient {
  async function send<Schema extends z.ZodType>(
    schema: Schema,
    tenantId: string,
    path: string,
    init: RequestInit,
  ): Promise<Answer<z.output<Schema>>> {
    const chosen = port();
    if (chosen === null) return { outcome: 'uncertain' };
    try {
      const response = await fetch(`http://127.0.0.1:${chosen}/v1${path}`, {
        ...init,
        headers: { authorization: `Bearer ${tenantId}`, ...init.headers },
        signal: AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)]),
      });
      const said = await response.text();
      if (response.ok) return { outcome: 'ok', body: schema.parse(JSON.parse(said)) };
      // Such as 503, and 409 while an earlier request with the same key has no answer yet.
      if (response.headers.has('retry-after')) return { outcome: 'uncertain' };
      return { outcome: 'refused', status: response.status, said };
    } catch (error) {
      if (error instanceof z.ZodError) throw error;
      return { outcome: 'uncertain' };
    }
  }

  const json = (method: string, body: unknown, headers: Record<string, string> = {}) => ({
    method,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });

  return {
    upload: (tenantId) =>
      send(sourceSchema, tenantId, '/sources', {
        method: 'POST',
        headers: { 'content-type': 'application/gzip' },
        body: gzipSync(tenantId),
      }),
    accept(tenantId, sourceId, key) {
      const body = {
        sourceId,
        repository: 'site',
        buildArguments: { KEY: key },
        timeoutSeconds: buildTimeoutSeconds,
      };
      const init = json('POST', body, { 'idempotency-key': key });
      return send(buildSchema, tenantId, '/builds', init);
    },
    cancel: (tenantId, id) =>
      send(buildSchema, tenantId, `/builds/${id}:cancel`, { method: 'POST' }),
    setBudget: (tenantId, limit) =>
      send(z.unknown(), tenantId, '/budgets/current', json('PUT', { limit })),
  };
}
