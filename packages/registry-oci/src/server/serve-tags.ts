import { methodNotAllowed, respond, type ServerExchange, type Stores } from './exchange.ts';
import { SpecFailure } from './spec-failure.ts';

const largestPage = 10_000;

export async function serveTags(
  { manifests }: Stores,
  each: ServerExchange,
  repository: string,
): Promise<void> {
  if (each.request.method !== 'GET') throw methodNotAllowed(['GET']);
  const all = await manifests.tags(repository);
  if (!all) throw new SpecFailure('NAME_UNKNOWN', 'no such repository');

  const limit = pageSize(each.query.get('n'));
  const last = each.query.get('last') ?? '';
  const rest = all.filter((tag) => tag > last);
  const tags = rest.slice(0, limit);
  const final = tags.at(-1);
  const next = new URLSearchParams({ n: String(limit), last: final ?? '' });
  const more = rest.length > tags.length && final !== undefined;
  respond(
    each,
    200,
    {
      'content-type': 'application/json',
      ...(more ? { link: `</v2/${repository}/tags/list?${next}>; rel="next"` } : {}),
    },
    JSON.stringify({ name: repository, tags }),
  );
}

function pageSize(value: string | null): number {
  if (value === null) return largestPage;
  if (!/^\d{1,9}$/.test(value)) {
    throw new SpecFailure('UNSUPPORTED', 'n is a number', { status: 400 });
  }
  return Math.min(Number(value), largestPage);
}
