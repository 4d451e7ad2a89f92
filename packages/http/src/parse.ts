import { createHash } from 'node:crypto';
import { CygniError, type IdempotencyKey, type InputIssue, type PageRequest } from '@cygni/core';
import type { Request } from 'express';
import { z } from 'zod';

/** @throws `invalid_input` with an issue for each field that was refused; input is never echoed */
export function parseInput<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
): z.output<Schema> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const issues = result.error.issues.flatMap(describe);
  const fields = issues.map(({ pointer, message }) => `${pointer || '/'} ${message}`);
  throw new CygniError('invalid_input', fields.slice(0, 5).join('; '), { issues });
}

function describe(issue: z.core.$ZodIssue): InputIssue[] {
  const { code } = issue;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      pointer: pointerOf([...issue.path, key]),
      code,
      message: 'is not a known field',
    }));
  }
  return [{ pointer: pointerOf(issue.path), code, message: issue.message }];
}

function pointerOf(path: readonly PropertyKey[]): string {
  return path
    .map((part) => `/${String(part).slice(0, 100).replaceAll('~', '~0').replaceAll('/', '~1')}`)
    .join('');
}

const largestPage = 100;
const pageSchema = z.object({
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .transform((limit) => Math.min(limit, largestPage))
    .default(50),
  cursor: z.string().max(500).optional(),
});

export function parsePage(request: Request): PageRequest {
  const { limit, cursor } = parseInput(pageSchema, request.query);
  return { limit, cursor: cursor ?? null };
}

const idempotencyKeySchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters');

/** From the `Idempotency-Key` header; null without one. */
export function parseIdempotency(
  request: Request,
  route: string,
  body: unknown,
  retainSeconds: number,
): IdempotencyKey | null {
  const header = request.headers['idempotency-key'];
  if (header === undefined) return null;
  const { 'idempotency-key': key } = parseInput(
    z.object({ 'idempotency-key': idempotencyKeySchema }),
    { 'idempotency-key': header },
  );
  const fingerprint = createHash('sha256').update(JSON.stringify(body)).digest('hex');
  return { route, key, fingerprint, retainSeconds };
}

/** An id from the path. What cannot be an id is not found, as any other that does not exist. */
export function parseId(value: unknown): string {
  const id = z.uuid().safeParse(value);
  if (!id.success) throw new CygniError('not_found', 'no such resource');
  return id.data;
}
