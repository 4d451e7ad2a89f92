import type { Page } from '@cygni/core';
import type { Response } from 'express';

/** Answers with one page of a list and a link to the next. */
export function sendPage<Item>(
  response: Response,
  page: Page<Item>,
  view: (item: Item) => unknown,
): void {
  if (page.nextCursor !== null) {
    const [path, query] = response.req.originalUrl.split('?');
    const parameters = new URLSearchParams(query);
    parameters.set('cursor', page.nextCursor);
    response.setHeader('Link', `<${path}?${parameters}>; rel="next"`);
  }
  response.json({ items: page.items.map(view), nextCursor: page.nextCursor });
}
