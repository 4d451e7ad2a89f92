import express, { type RequestHandler } from 'express';
import { parseJson } from './parse-json.ts';
import { sendProblem } from './problem.ts';

const largestJson = '256kb';

/** Refuses a body of any other media type with 415. */
export function requireMediaType(...accepted: readonly string[]): RequestHandler {
  return (request, response, next) => {
    const charset = /;\s*charset\s*=\s*"?([^\s;"]*)/i.exec(request.get('content-type') ?? '')?.[1];
    const utf8 = charset === undefined || /^utf-?8$/i.test(charset);
    if (utf8 && request.is([...accepted])) return next();
    const detail = `Content-Type must be ${accepted.join(' or ')}`;
    sendProblem(response, { status: 415, code: 'unsupported-media-type', detail });
  };
}

/** Reads a JSON body, within bounds of size and time. */
export function readJson(timeoutMs: number): RequestHandler[] {
  return [
    requireMediaType('application/json'),
    limitBodyTime(timeoutMs),
    express.raw({ type: () => true, limit: largestJson }),
    (request, _response, next) => {
      const body: unknown = request.body;
      request.body = parseJson(Buffer.isBuffer(body) ? body : Buffer.alloc(0));
      next();
    },
  ];
}

/** Cuts a sender off whose whole body has not come in time, however it trickles. */
function limitBodyTime(timeoutMs: number): RequestHandler {
  return (request, response, next) => {
    const timer = setTimeout(() => {
      response.setHeader('Connection', 'close');
      sendProblem(response, { status: 408, code: 'timeout', detail: 'the body came too slowly' });
      response.once('finish', () => request.destroy());
    }, timeoutMs);
    const stop = () => clearTimeout(timer);
    request.once('end', stop).once('close', stop);
    next();
  };
}

/** Cuts a sender off that sends nothing for so long. */
export function limitIdleTime(timeoutMs: number): RequestHandler {
  return (request, _response, next) => {
    request.setTimeout(timeoutMs, () => request.destroy());
    next();
  };
}
