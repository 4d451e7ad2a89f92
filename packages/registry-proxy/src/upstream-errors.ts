import type { IncomingMessage } from 'node:http';
import * as z from 'zod/mini';
import { readBody } from './read-body.ts';

const maximumErrorBytes = 64 * 1024;
const errorsSchema = z.object({
  errors: z
    .array(
      z.object({
        code: z.string().check(z.regex(/^[A-Z_]{1,40}$/)),
        message: z._default(z.string(), ''),
      }),
    )
    .check(z.minLength(1)),
});

export async function errorText(response: IncomingMessage): Promise<string> {
  try {
    return (await readBody(response, maximumErrorBytes)).toString('utf8');
  } catch {
    return '';
  }
}

/** The code and the message of the spec's error body, with nothing in it that must not be shown. */
export function errorIn(
  text: string,
  status: number,
  secrets: readonly string[],
): { readonly code: string; readonly message: string } {
  const first = parse(text)?.errors[0];
  const known = `the registry answers with ${status}`;
  if (!first) return { code: 'UNKNOWN', message: known };
  let message = first.message;
  for (const secret of secrets) message = message.replaceAll(secret, '[redacted]');
  return { code: first.code, message: message.slice(0, 1000) || known };
}

function parse(text: string): z.output<typeof errorsSchema> | undefined {
  try {
    return errorsSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
