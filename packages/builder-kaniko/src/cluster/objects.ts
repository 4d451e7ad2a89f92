import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { z } from 'zod';

const metadataSchema = z.looseObject({
  name: z.string(),
  uid: z.string(),
  resourceVersion: z.string(),
  deletionTimestamp: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
});
const objectSchema = z.looseObject({ metadata: metadataSchema });

/**
 * What is watched, as the API server sends it. It has the fields of client-node's types, of which
 * only those are used that JSON can hold: a time is a text here, not a Date.
 */
export const jobSchema = z.custom<V1Job>((value) => objectSchema.safeParse(value).success);
export const podSchema = z.custom<V1Pod>((value) => objectSchema.safeParse(value).success);

export const listSchema = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string(), continue: z.string().optional() }),
  items: z.array(z.unknown()),
});

export const watchEventSchema = z.looseObject({
  type: z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']),
  object: z.looseObject({
    code: z.number().optional(),
    metadata: z.looseObject({ resourceVersion: z.string().optional() }).optional(),
  }),
});

export const eventListSchema = z.looseObject({
  items: z.array(
    z.looseObject({ reason: z.string().default(''), message: z.string().default('') }),
  ),
});
