import { createHash } from 'node:crypto';
import { preconditionError } from '@cygni/core';
import type { Request } from 'express';
import { z } from 'zod';
import { parseInput } from './parse.ts';

export const conditionHeaderSchema = z.object({
  'if-match': z
    .string()
    .max(1_000)
    .optional()
    .describe('Act only while the resource has one of these entity tags, else answer 412.'),
});

/** A strong entity tag: another one for each state of a resource that a client can see. */
export function entityTag(resource: unknown): string {
  const hash = createHash('sha256').update(JSON.stringify(resource));
  return `"${hash.digest('base64url').slice(0, 27)}"`;
}

/**
 * The resource as it is now, if the request's `If-Match` knows it so; null without one. The store has to look again
 * when it acts.
 * @throws `precondition_failed`
 */
export async function expectedBy<Resource>(
  { headers }: Request,
  read: () => Promise<Resource>,
): Promise<Resource | null> {
  const { 'if-match': condition } = parseInput(conditionHeaderSchema, headers);
  if (condition === undefined) return null;
  const resource = await read();
  if (condition.trim() === '*') return null;
  const tags = condition.split(',').map((tag) => tag.trim());
  if (!tags.includes(entityTag(resource))) throw preconditionError();
  return resource;
}
