import { basename, dirname } from 'node:path';
import { type RequestHandler, Router } from 'express';
import helmet from 'helmet';
import type { Operation } from '../operation.ts';
import { contextOf } from '../request-context.ts';
import { describeApi } from './document.ts';
import { findExplorer } from './find-explorer.ts';

const explorer = findExplorer();

const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Cygni API</title>
    <link rel="icon" href="data:,">
    <script type="module" src="docs/explorer.js"></script>
  </head>
  <body style="margin: 0">
    <openapi-explorer spec-url="openapi.json"></openapi-explorer>
  </body>
</html>
`;

/** The page runs its own scripts and no others, and asks this server only. */
const pagePolicy: RequestHandler = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'", "'unsafe-inline'"],
      imgSrc: ["'self'", 'data:'],
      connectSrc: ["'self'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
    },
  },
});

/** The OpenAPI document and its rendered form. Both are for everybody. */
export function serveReference(operations: readonly Operation[]): Router {
  const router = Router({ strict: true });
  router.get('/openapi.json', (request, response) => {
    response.json(describeApi(operations, contextOf(request).mount));
  });
  router.get('/docs', pagePolicy, (_request, response) => {
    response.type('html').send(page);
  });
  router.get('/docs/explorer.js', (_request, response) => {
    response.sendFile(basename(explorer), { root: dirname(explorer) });
  });
  return router;
}
