import type { Call, RepositoryLocation, Retry } from '@cygni/core';
import { z } from 'zod';
import { endpointOf } from './endpoint.ts';
import { headerOf, readBody } from './exchange.ts';
import { isResponseFailure, ResponseFailure } from './response-failure.ts';
import { pullScope } from './scopes.ts';
import { resolveUrl, type Send } from './send.ts';

const maximumPageBytes = 16 * 1024 * 1024;
const maximumPages = 1000;
const pageSchema = z.object({ tags: z.array(z.string()).nullish() });

/** Tags in lexical order after `after`, at most `limit`; none for a repository that nothing was pushed to yet. */
export async function listTags(
  send: Send,
  retry: Retry,
  location: RepositoryLocation,
  page: { readonly after?: string; readonly limit: number },
  call: Call,
): Promise<readonly string[]> {
  const { origin, repository } = endpointOf(location);
  const query = new URLSearchParams({ n: String(page.limit) });
  if (page.after !== undefined) query.set('last', page.after);
  const what = `tags of ${location.host}/${location.repository}`;

  const found = new Set<string>();
  let target: URL | undefined = new URL(`v2/${repository}/tags/list?${query}`, origin);
  for (let pages = 0; target !== undefined && pages < maximumPages; pages += 1) {
    const url: URL = target;
    const answer = await retry(what, call, () => readPage(send, location, repository, url, call));
    for (const tag of answer.tags) {
      // Some registries answer all of them, whatever is asked.
      if (page.after === undefined || tag > page.after) found.add(tag);
    }
    target = found.size >= page.limit ? undefined : answer.next;
  }
  return [...found].sort().slice(0, page.limit);
}

interface Page {
  readonly tags: readonly string[];
  readonly next: URL | undefined;
}

async function readPage(
  send: Send,
  location: RepositoryLocation,
  repository: string,
  url: URL,
  call: Call,
): Promise<Page> {
  try {
    const response = await send(
      { location, method: 'GET', target: url, scopes: [pullScope(repository)], expect: [200] },
      call,
    );
    const next = nextLink(headerOf(response, 'link'));
    const bytes = await readBody(response, maximumPageBytes);
    return {
      tags: parsePage(bytes),
      next: next === undefined ? undefined : resolveUrl(next, url, location),
    };
  } catch (error) {
    if (isResponseFailure(error, 404)) return { tags: [], next: undefined };
    throw error;
  }
}

function parsePage(bytes: Buffer): readonly string[] {
  try {
    const page = pageSchema.safeParse(JSON.parse(bytes.toString('utf8')));
    if (page.success) return page.data.tags ?? [];
  } catch {
    // Answered below.
  }
  throw new ResponseFailure(502, [], undefined);
}

/** RFC 8288: the target of the first link whose relation is `next`. */
export function nextLink(header: string | undefined): string | undefined {
  for (const match of header?.matchAll(/<([^<>]*)>([^<]*)/g) ?? []) {
    if (/;\s*rel="?next"?/i.test(match[2] ?? '')) return match[1];
  }
  return undefined;
}
