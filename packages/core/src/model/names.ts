import { z } from 'zod';

const dnsLabel = /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/;

export const tenantIdSchema = z
  .string()
  .regex(dnsLabel, 'lower-case letters, digits and inner hyphens, at most 40 characters');

export const serviceNameSchema = z
  .string()
  .regex(dnsLabel, 'lower-case letters, digits and inner hyphens, at most 40 characters');

/** The name of an image repository below its tenant's. */
export const repositoryNameSchema = z
  .string()
  .max(100)
  .regex(
    /^[a-z0-9]+(?:[._-][a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-][a-z0-9]+)*)*$/,
    'lower-case path components of letters, digits and single separators',
  );

export const tagSchema = z
  .string()
  .regex(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/, 'a tag as registries accept it');

export const digestSchema = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, 'sha256: and 64 lower-case hex digits');

export const idSchema = z.uuid();

/** Text that every store and every process environment can hold. */
export const textSchema = z
  .string()
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is the one that is refused
  .regex(/^[^\u0000]*$/, 'no NUL characters');

/** Variables by name. What is refused beside the types is in the JSON Schema too. */
export function variablesSchema(options: {
  readonly maximumEntries: number;
  readonly maximumCharacters: number;
  /** Names that the platform sets itself. */
  readonly reserved?: readonly string[];
}) {
  const { maximumEntries, maximumCharacters, reserved = [] } = options;
  const taken = reserved.length > 0 ? `(?!(?:${reserved.join('|')})$)` : '';
  const name = z.string().regex(new RegExp(`^${taken}[A-Za-z_][A-Za-z0-9_]*$`));
  return z
    .record(name, textSchema.max(maximumCharacters))
    .refine(
      (value) => Object.keys(value).length <= maximumEntries,
      `at most ${maximumEntries} entries`,
    )
    .meta({ maxProperties: maximumEntries });
}

/** The repository of a tenant's image. The tenant comes first, so that no name reaches another tenant's. */
export function repositoryOf(tenantId: string, name: string): string {
  return `${tenantId}/${name}`;
}
