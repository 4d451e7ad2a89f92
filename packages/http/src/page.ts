import { createHash } from 'node:crypto';
import { cursorError, type Page, type PageRequest } from '@cygni/core';
import { z } from 'zod';
import type { Answer, Exchange } from './operation.ts';
import { queryInteger } from './parse.ts';

export const pageQuerySchema = z.strictObject({
  limit: queryInteger({ least: 1, highest: 100 })
    .default(50)
    .describe('How many at most. A larger number than 100 is lowered to it.'),
  cursor: z
    .string()
    .max(500)
    .optional()
    .describe('`nextCursor` of the page before, as it was. Other text is refused.'),
});

/** One page of a list of what `item` describes. */
export function pageSchema<Item extends z.ZodType>(item: Item) {
  return z.strictObject({
    items: z.array(item),
    nextCursor: z
      .string()
      .nullable()
      .describe(
        'The cursor of the next page; null on the last. It has to be passed back as it is.',
      ),
  });
}

interface Listing<Item> {
  readonly query: z.output<typeof pageQuerySchema>;
  read(page: PageRequest): Promise<Page<Item>>;
  view(item: Item): unknown;
}

/** Answers with one page of a list and a link to the next. */
export async function answerPage<Item>(
  { request, principal }: Exchange,
  { query, read, view }: Listing<Item>,
): Promise<Answer> {
  const [path = '', search] = request.originalUrl.split('?');
  const list = `${principal.tenantId} ${request.path}`;
  const cursor = query.cursor === undefined ? null : unseal(query.cursor, list);
  const page = await read({ limit: query.limit, cursor });
  const items = page.items.map(view);
  if (page.nextCursor === null) return { status: 200, body: { items, nextCursor: null } };

  const nextCursor = seal(page.nextCursor, list);
  const next = new URLSearchParams(search);
  next.set('cursor', nextCursor);
  return {
    status: 200,
    body: { items, nextCursor },
    headers: { Link: `<${path}?${next}>; rel="next"` },
  };
}

const sealCharacters = 12;

/**
 * Ties a cursor to its list and tenant, so that one which was altered or belongs to another list is refused rather
 * than taken for some position. It keeps no secret: what a cursor opens is the caller's own list in any case.
 */
function seal(cursor: string, list: string): string {
  return `${checksum(cursor, list)}${cursor}`;
}

/** @throws `invalid_input` */
function unseal(sealed: string, list: string): string {
  const cursor = sealed.slice(sealCharacters);
  if (sealed.slice(0, sealCharacters) !== checksum(cursor, list)) throw cursorError();
  return cursor;
}

function checksum(cursor: string, list: string): string {
  const hash = createHash('sha256').update(JSON.stringify([list, cursor]));
  return hash.digest('base64url').slice(0, sealCharacters);
}
