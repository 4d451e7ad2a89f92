import { tenantIdSchema } from '@cygni/core';
import { scopes } from '@cygni/http';
import { z } from 'zod';
import { openTokenIssuer } from './access.ts';
import { findSigningKey } from './signing-key.ts';

const secondsOf = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;
const longestDays = 90;

const optionsSchema = z.object({
  tenant: tenantIdSchema,
  scope: z.array(z.enum(scopes)).min(1, 'at least one'),
  expires: z
    .string()
    .regex(/^[1-9]\d{0,6}[smhd]$/, 'a number and s, m, h or d, as in 24h')
    .transform((text) => {
      const unit = z.enum(['s', 'm', 'h', 'd']).parse(text.slice(-1));
      return Number(text.slice(0, -1)) * secondsOf[unit];
    })
    .pipe(z.number().max(longestDays * secondsOf.d, `${longestDays}d at most`)),
  subject: z.string().min(1).max(200).default('cli'),
});

export type CreatedToken =
  | { readonly ok: true; readonly token: string }
  | { readonly ok: false; readonly problems: readonly string[] };

/** A token signed by the key in the data directory. */
export async function createToken(dataDirectory: string, given: unknown): Promise<CreatedToken> {
  const parsed = optionsSchema.safeParse(given);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path: [name], code, message }) => {
      const allowed = name === 'scope' && code === 'invalid_value' ? scopes.join(', ') : message;
      return `--${String(name)}: ${allowed}`;
    });
    return { ok: false, problems };
  }
  const key = await findSigningKey(dataDirectory);
  if (!key) {
    const problem = `CYGNI_DATA_DIR: there is no signing key in ${dataDirectory}; a server makes it on its first start`;
    return { ok: false, problems: [problem] };
  }
  const { tenant, scope, expires, subject } = parsed.data;
  const token = await openTokenIssuer(key).issue({
    tenantId: tenant,
    subject,
    scopes: scope,
    expiresInSeconds: expires,
  });
  return { ok: true, token };
}
