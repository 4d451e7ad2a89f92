import { z } from 'zod';
import { CygniError } from '../errors.ts';
import type { Page, PageRequest } from './page.ts';

/** Where a page of a list, newest first, ended. */
export interface CursorPosition {
  /** ISO 8601 with milliseconds */
  readonly createdAt: string;
  /** Tells rows of the same time apart. */
  readonly id: string;
}

const schema = z.tuple([z.iso.datetime({ precision: 3 }), z.string().min(1).max(200)]);

/** Text that clients pass back as they got it. It names a position, not a page number, so rows that are inserted move nothing. */
export function encodeCursor({ createdAt, id }: CursorPosition): string {
  return Buffer.from(JSON.stringify([createdAt, id])).toString('base64url');
}

/** @throws `invalid_input` with the pointer `/cursor` */
export function decodeCursor(cursor: string): CursorPosition {
  const parsed = schema.safeParse(parseJson(cursor));
  if (!parsed.success) throw cursorError();
  const [createdAt, id] = parsed.data;
  return { createdAt, id };
}

/** What a store throws for a cursor that it did not give out for this list. */
export function cursorError(): CygniError {
  const message = 'not a cursor of this list';
  return new CygniError('invalid_input', message, {
    issues: [{ pointer: '/cursor', code: 'invalid_cursor', message }],
  });
}

/** @param items of the page, newest first, and one more where the list goes on */
export function pageOf<Item>(
  items: readonly Item[],
  { limit }: PageRequest,
  positionOf: (item: Item) => CursorPosition,
): Page<Item> {
  const shown = items.slice(0, limit);
  const last = shown.at(-1);
  const more = items.length > limit && last !== undefined;
  return { items: shown, nextCursor: more ? encodeCursor(positionOf(last)) : null };
}

function parseJson(cursor: string): unknown {
  if (cursor.length > 1_000 || !/^[\w-]+$/.test(cursor)) return undefined;
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}
