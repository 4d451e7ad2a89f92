import { type RequestHandler, Router } from 'express';
import helmet from 'helmet';
import swaggerUiDirectory from 'swagger-ui-dist/absolute-path.js';
import type { Operation } from '../operation.ts';
import { contextOf } from '../request-context.ts';
import { describeApi } from './document.ts';

const assets = ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png'];

const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Cygni API</title>
    <link rel="icon" href="docs/favicon-32x32.png">
    <link rel="stylesheet" href="docs/swagger-ui.css">
  </head>
  <body>
    <div id="reference"></div>
    <script src="docs/swagger-ui-bundle.js"></script>
    <script src="docs/start.js"></script>
  </body>
</html>
`;

const start = `SwaggerUIBundle({ url: 'openapi.json', dom_id: '#reference', deepLinking: true });\n`;

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
  router.get('/docs/start.js', (_request, response) => {
    response.type('text/javascript').send(start);
  });
  for (const asset of assets) {
    router.get(`/docs/${asset}`, (_request, response) => {
      response.sendFile(asset, { root: swaggerUiDirectory() });
    });
  }
  return router;
}
