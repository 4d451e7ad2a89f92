import { CygniError, type InputIssue, idSchema } from '@cygni/core';
import { z } from 'zod';

/** @throws `invalid_input` with an issue for each field that was refused; input is never echoed */
export function parseInput<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
): z.output<Schema> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const issues = result.error.issues.flatMap(describe).slice(0, mostIssues);
  const fields = issues.map(({ pointer, message }) => `${pointer || '/'} ${message}`);
  throw new CygniError('invalid_input', fields.slice(0, 5).join('; '), { issues });
}

/** What cannot be in a path is not found, as any other name that does not exist. @throws `not_found` */
export function parseParameters<Schema extends z.ZodType>(
  schema: Schema,
  parameters: unknown,
): z.output<Schema> {
  const result = schema.safeParse(parameters);
  if (result.success) return result.data;
  throw new CygniError('not_found', 'no such resource');
}

/** An id from the path. @throws `not_found` */
export function parseId(value: unknown): string {
  return parseParameters(idSchema, value);
}

const mostIssues = 100;
const longestPointerPart = 100;

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
    .map((part) => String(part).slice(0, longestPointerPart))
    .map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`)
    .join('');
}

/** An integer in a query. A larger one than `highest` is lowered to it. */
export function queryInteger(range: { readonly least: number; readonly highest: number }) {
  const { least, highest } = range;
  const digits = /^-?\d{1,16}$/;
  return z
    .preprocess(
      (text) => (typeof text === 'string' && digits.test(text) ? Number(text) : text),
      z.int('must be an integer').min(least),
    )
    .transform((value) => Math.min(value, highest));
}
