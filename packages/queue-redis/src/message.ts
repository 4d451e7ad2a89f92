import { MESSAGE_VERSION, type Message, type MessageKind } from '@cygni/core';
import { z } from 'zod';

/** The content of a BullMQ job; its name is the kind. */
export function contentOf({ v, id, traceparent }: Message): object {
  return { v, id, ...(traceparent !== undefined && { traceparent }) };
}

const anyVersionSchema = z.looseObject({ v: z.int() });
const contentSchema = z.object({
  v: z.literal(MESSAGE_VERSION),
  id: z.string().min(1),
  traceparent: z.string().max(100).exactOptional(),
});

export type Content =
  | { readonly is: 'message'; readonly message: Message }
  | { readonly is: 'of another version'; readonly v: number }
  | { readonly is: 'unreadable' };

export function readContent(kind: MessageKind, content: unknown): Content {
  const parsed = contentSchema.safeParse(content);
  if (parsed.success) return { is: 'message', message: { ...parsed.data, kind } };
  const versioned = anyVersionSchema.safeParse(content);
  if (!versioned.success || versioned.data.v === MESSAGE_VERSION) return { is: 'unreadable' };
  return { is: 'of another version', v: versioned.data.v };
}
