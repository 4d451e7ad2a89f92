export type Challenge =
  | { readonly scheme: 'basic' }
  | { readonly scheme: 'bearer'; readonly realm: string; readonly service: string | undefined };

const parameter = /([a-z_]+)\s*=\s*"([^"\\]*)"/gi;

/** What a WWW-Authenticate header asks for; a bearer token is preferred. */
export function challengeIn(header: string | undefined): Challenge | undefined {
  const bearer = /(?:^|,)\s*bearer\s/i.exec(header ?? '');
  if (header && bearer) {
    const parameters = new Map<string, string>();
    for (const match of header.slice(bearer.index + bearer[0].length).matchAll(parameter)) {
      const [, name = '', value = ''] = match;
      if (!parameters.has(name.toLowerCase())) parameters.set(name.toLowerCase(), value);
    }
    const realm = parameters.get('realm');
    if (realm !== undefined) {
      return { scheme: 'bearer', realm, service: parameters.get('service') };
    }
  }
  return /(?:^|,)\s*basic(?:\s|,|$)/i.test(header ?? '') ? { scheme: 'basic' } : undefined;
}
