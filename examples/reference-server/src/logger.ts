import { createRedactor, isCygniError } from '@cygni/core';
import { isSpanContextValid, trace } from '@opentelemetry/api';
import { type DestinationStream, type Logger, pino } from 'pino';

/** Shorter ones would hit numbers and words of the server's own. */
const shortestSecret = 6;
const deepestCause = 4;

export interface LoggerOptions {
  readonly level: string;
  readonly version: string;
  /** Taken out of every line, wherever they come from. */
  readonly secrets: readonly string[];
  /** Default: standard output. */
  readonly destination?: DestinationStream;
}

/**
 * Lines of JSON. Of an error only what is listed here is written, never the request, the response or the options that
 * a library has hung on it; requests are logged field by field, so that no header is. Inside a span, lines have its ids.
 */
export function createLogger({ level, version, secrets, destination }: LoggerOptions): Logger {
  const redactor = createRedactor(secrets.filter(({ length }) => length >= shortestSecret));
  const options = {
    level,
    base: { service: 'cygni', version },
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: serializeError },
    mixin: () => {
      const span = trace.getActiveSpan()?.spanContext();
      if (!span || !isSpanContextValid(span)) return {};
      return { trace_id: span.traceId, span_id: span.spanId };
    },
    hooks: { streamWrite: (line: string) => redactor.redact(line) },
  };
  return destination ? pino(options, destination) : pino(options);
}

interface SerializedError {
  readonly type: string;
  readonly code?: string;
  readonly message: string;
  readonly stack?: string;
  readonly cause?: SerializedError;
}

function serializeError(error: unknown, depth = 0): SerializedError {
  if (!(error instanceof Error)) return { type: typeof error, message: 'not an error' };
  const code = isCygniError(error) || 'code' in error ? String(Reflect.get(error, 'code')) : null;
  return {
    type: error.name,
    ...(code !== null && { code }),
    message: withoutCredentials(error.message),
    ...(error.stack !== undefined && { stack: withoutCredentials(error.stack) }),
    ...(error.cause !== undefined &&
      depth < deepestCause && { cause: serializeError(error.cause, depth + 1) }),
  };
}

/** Names and passwords in addresses, queries of presigned ones, and bearer tokens. */
function withoutCredentials(text: string): string {
  return text
    .replaceAll(/(\b[a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/@"'<>]{1,2000}@/gi, '$1[redacted]@')
    .replaceAll(/(\bhttps?:\/\/[^\s"'?<>]{1,2000}\?)[^\s"'<>]{1,4000}/gi, '$1[redacted]')
    .replaceAll(/\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi, '$1 [redacted]');
}
