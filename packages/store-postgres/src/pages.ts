import {
  type CursorPosition,
  cursorError,
  decodeCursor,
  idSchema,
  type PageRequest,
} from '@cygni/core';

/** The time and the id that a page's rows are older than; without a cursor, above every row. @throws `invalid_input` */
export function positionOf({ cursor }: PageRequest): [createdAt: string, id: string] {
  if (cursor === null) return ['infinity', 'ffffffff-ffff-ffff-ffff-ffffffffffff'];
  const { createdAt, id } = decodeCursor(cursor);
  if (!idSchema.safeParse(id).success) throw cursorError();
  return [createdAt, id];
}

/** As {@link positionOf}, of a list whose rows are told apart by another text. */
export function textPositionOf({ cursor }: PageRequest): CursorPosition {
  return cursor === null ? { createdAt: 'infinity', id: '' } : decodeCursor(cursor);
}
