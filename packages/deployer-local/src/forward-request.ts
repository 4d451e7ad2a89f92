import {
  type IncomingMessage,
  request as openRequest,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { Backend } from './backend.ts';
import { endToEndHeaders, requestHeaders } from './forward-headers.ts';
import { systemCode } from './map-error.ts';

/** Until the instance's first byte; a response that has begun may take its time. */
const answerTimeoutMs = 120_000;

/** Passes a request to an instance and its answer back, as streams. Errors end the exchange, never the process. */
export function forwardRequest(
  backend: Backend,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): void {
  const leave = backend.enter();
  outgoing.once('close', leave);
  const headers = requestHeaders(incoming);
  // A connection that was kept open may be closed by the instance just now; only what has no body can be sent again.
  const repeatable =
    (incoming.method === 'GET' || incoming.method === 'HEAD') &&
    incoming.headers['transfer-encoding'] === undefined &&
    Number(incoming.headers['content-length'] ?? 0) === 0;
  try {
    attempt(repeatable);
  } catch {
    // What Node parses but does not send again, such as a path in bytes that are not allowed.
    answerShortly(outgoing, 502);
  }

  function attempt(mayRepeat: boolean): void {
    let timedOut = false;
    let answered = false;
    const upstream = openRequest({
      host: '127.0.0.1',
      port: backend.port,
      agent: backend.agent,
      method: incoming.method ?? 'GET',
      path: incoming.url ?? '/',
      headers,
      setDefaultHeaders: false,
    });
    const abandon = () => upstream.destroy();
    const timer = setTimeout(() => {
      timedOut = true;
      upstream.destroy();
    }, answerTimeoutMs);
    outgoing.once('close', abandon);
    upstream.once('close', () => {
      clearTimeout(timer);
      outgoing.off('close', abandon);
    });
    // Nobody asked for one; without a listener the exchange would have no end.
    upstream.once('upgrade', (_answer, socket) => {
      socket.destroy();
      answerShortly(outgoing, 502);
    });
    upstream.once('response', (answer) => {
      clearTimeout(timer);
      answered = true;
      passAnswer(answer, outgoing);
    });
    upstream.on('error', (error) => {
      clearTimeout(timer);
      // An instance may answer before it has read everything, and hang up; the answer's own end says if it is whole.
      if (answered) return;
      if (outgoing.headersSent || outgoing.destroyed) {
        outgoing.destroy();
      } else if (mayRepeat && upstream.reusedSocket && systemCode(error) === 'ECONNRESET') {
        outgoing.off('close', abandon);
        attempt(false);
      } else {
        incoming.unpipe(upstream);
        answerShortly(outgoing, timedOut ? 504 : 502);
      }
    });
    if (mayRepeat) upstream.end();
    else incoming.pipe(upstream);
  }
}

function passAnswer(answer: IncomingMessage, outgoing: ServerResponse): void {
  try {
    outgoing.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEndHeaders(answer));
  } catch {
    // The instance is not trusted: a status of 0, for one, must not end this process.
    answer.destroy();
    answerShortly(outgoing, 502);
    return;
  }
  // Headers leave at once: a stream of events may wait long for its first.
  outgoing.flushHeaders();
  answer.pipe(outgoing);
  // The client must see that the answer is not whole.
  answer.on('error', () => outgoing.destroy());
  answer.on('aborted', () => outgoing.destroy());
}

const texts = {
  502: 'Bad gateway: the instance does not answer.\n',
  503: 'Service unavailable: nothing is deployed here yet.\n',
  504: 'Gateway timeout: the instance took too long to answer.\n',
} as const;

/** An answer of the proxy itself. */
export function answerShortly(outgoing: ServerResponse, status: keyof typeof texts): void {
  const text = texts[status];
  // The text is named: one that could not be sent may be set already.
  outgoing.writeHead(status, STATUS_CODES[status], {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    ...(status === 503 && { 'retry-after': '1' }),
    // What is left of the request's body is not read.
    connection: 'close',
  });
  outgoing.end(text);
}
