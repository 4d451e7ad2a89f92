import { z } from 'zod';
import { proxyUpstream } from '../job/arguments.ts';

const pushedSchema = z.looseObject({
  event: z.literal('pushed'),
  upstream: z.literal(proxyUpstream),
  repository: z.string(),
  reference: z.string(),
  digest: z.string(),
});

/** The digest that the registry accepted under the tag, if this line of the proxy's log says so. */
export function pushedDigest(
  line: string,
  expected: { readonly repository: string; readonly tag: string },
): string | null {
  if (!line.startsWith('{"event":"pushed"')) return null;
  try {
    const { repository, reference, digest } = pushedSchema.parse(JSON.parse(line));
    return repository === expected.repository && reference === expected.tag ? digest : null;
  } catch {
    return null;
  }
}
