import {
  type Attributes,
  context,
  type Link,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { isCygniError } from '../errors.ts';

/** Does nothing until the program registers a provider. */
const tracer = trace.getTracer('@cygni/core');

export interface SpanOptions {
  readonly kind?: SpanKind;
  readonly attributes?: Attributes;
  readonly links?: readonly Link[];
  /** A trace of its own, whatever is going on around it. */
  readonly root?: boolean;
}

/** Runs `work` in a span. One that rejects is an error of the code that it rejects with: messages are not for traces. */
export function inSpan<Result>(
  name: string,
  { links, ...options }: SpanOptions,
  work: (span: Span) => Promise<Result>,
): Promise<Result> {
  const all = { ...options, ...(links && { links: [...links] }) };
  return tracer.startActiveSpan(name, all, async (span) => {
    try {
      return await work(span);
    } catch (error) {
      failSpan(span, isCygniError(error) ? error.code : 'internal');
      throw error;
    } finally {
      span.end();
    }
  });
}

export function failSpan(span: Span, errorType: string): void {
  span.setAttribute('error.type', errorType);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

/** As `inSpan` of a client's call, but only within another span: what looks around regularly makes no traces. */
export function inClientSpan<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  if (!trace.getActiveSpan()) return work();
  return inSpan(name, { kind: SpanKind.CLIENT }, work);
}

/** The present span in the form that W3C has given it, for whoever goes on with the work. Undefined: there is none. */
export function currentTraceparent(): string | undefined {
  const carrier: { traceparent?: string } = {};
  propagation.inject(context.active(), carrier);
  return carrier.traceparent;
}

/** A link to the span that `traceparent` names; none if it names none. */
export function linksTo(traceparent: string | null | undefined): readonly Link[] {
  if (!traceparent) return [];
  const extracted = propagation.extract(context.active(), { traceparent });
  const linked = trace.getSpanContext(extracted);
  return linked ? [{ context: linked }] : [];
}
