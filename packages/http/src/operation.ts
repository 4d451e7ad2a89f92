import type { Call, Platform } from '@cygni/core';
import type { Request, Response } from 'express';
import { z } from 'zod';
import type { Principal, Scope } from './auth/principal.ts';
import { parseInput, parseParameters } from './parse.ts';

/** One request on its way to an answer. */
export interface Exchange {
  readonly platform: Platform;
  readonly principal: Principal;
  readonly call: Call;
  readonly request: Request;
  readonly response: Response;
  /** The path that the router is mounted at; empty at the root. */
  readonly mount: string;
  /** Idempotency keys of requests to this router that have no answer yet. */
  readonly inFlight: Set<string>;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

interface ResponseDefinition {
  readonly description: string;
  readonly schema: z.ZodType;
  readonly example: unknown;
  /** Headers that only this answer has, by name, each with what it says. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Another form of the same, and what it is. */
  readonly alternative?: { readonly mediaType: string; readonly description: string };
}

interface Body {
  readonly mediaTypes: readonly string[];
  readonly description?: string;
}

interface OperationDescription {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** Below the version, as an OpenAPI path template. */
  readonly path: `/${string}`;
  readonly operationId: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly scope: Scope;
  /** The answer that says that all is well. */
  readonly success: { readonly status: number } & ResponseDefinition;
  /** Statuses of the problems that are peculiar to this operation. */
  readonly problems: readonly number[];
  /** Takes `Idempotency-Key`. */
  readonly idempotent?: boolean;
  /** Takes `If-Match`. */
  readonly conditional?: boolean;
  readonly headers?: z.ZodObject;
}

/** What a client may send. The tests send it as the document shows it. */
interface RequestExample {
  readonly parameters?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number>>;
  readonly body?: unknown;
}

/** One operation of the API: routes and the OpenAPI document both come from it. */
export interface Operation extends OperationDescription {
  readonly parameters: z.ZodObject | undefined;
  readonly query: z.ZodObject | undefined;
  readonly body: z.ZodType | undefined;
  /** Of a body that is streamed and has no schema. */
  readonly upload: Body | undefined;
  readonly example: RequestExample;
  /** Undefined: the answer has been written. */
  answer(exchange: Exchange): Promise<Answer | undefined>;
}

interface Definition<
  Parameters extends z.ZodObject,
  Query extends z.ZodObject,
  RequestBody extends z.ZodType,
> extends OperationDescription {
  readonly parameters?: Parameters;
  readonly query?: Query;
  readonly body?: RequestBody;
  readonly upload?: Body;
  readonly example?: RequestExample;
  answer(
    exchange: Exchange,
    input: {
      readonly parameters: z.output<Parameters>;
      readonly query: z.output<Query>;
      readonly body: z.output<RequestBody>;
    },
  ): Promise<Answer | undefined>;
}

const none = z.strictObject({});

/** Ties an answer to what its schemas let through. */
export function defineOperation<
  Parameters extends z.ZodObject = z.ZodObject<Record<never, never>>,
  Query extends z.ZodObject = z.ZodObject<Record<never, never>>,
  RequestBody extends z.ZodType = z.ZodUndefined,
>(definition: Definition<Parameters, Query, RequestBody>): Operation {
  const { parameters, query, body } = definition;
  // The casts: where a schema is left out, its type parameter is that of the default in its place.
  return {
    ...definition,
    parameters,
    query,
    body,
    upload: definition.upload,
    example: definition.example ?? {},
    answer(exchange) {
      const { request } = exchange;
      if (definition.headers) parseInput(definition.headers, request.headers);
      return definition.answer(exchange, {
        parameters: parseParameters(parameters ?? none, request.params) as z.output<Parameters>,
        query: parseInput(query ?? none, request.query) as z.output<Query>,
        body: (body && parseInput(body, request.body)) as z.output<RequestBody>,
      });
    },
  };
}
