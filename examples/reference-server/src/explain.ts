import { z } from 'zod';

const metaSchema = z.object({ description: z.string(), secret: z.boolean().default(false) });

/** What each variable means, as text for people. Tells nothing of what it is set to. */
export function explainVariables(schemas: Readonly<Record<string, z.ZodType>>): string {
  const entries = Object.entries(schemas).map(([name, schema]) => {
    const { description, secret } = metaSchema.parse(schema.meta());
    const notes = [
      ...(secret ? ['secret'] : []),
      ...(schema instanceof z.ZodDefault ? [`default ${String(schema.def.defaultValue)}`] : []),
    ];
    return `${name}${notes.length > 0 ? ` (${notes.join(', ')})` : ''}\n    ${description}\n`;
  });
  return [
    'Every variable may be in a file instead: NAME_FILE says in which. One that is set to nothing is not set.\n',
    ...entries,
  ].join('\n');
}
