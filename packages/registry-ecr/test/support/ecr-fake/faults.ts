/** What happens to a request instead of being served. Each is really done to the connection. */
export type Fault =
  /** Not served, and the connection cut. */
  | { readonly kind: 'cut' }
  /** Served, but the connection is cut before the answer. */
  | { readonly kind: 'loseAnswer' }
  /** No answer. */
  | { readonly kind: 'hang' }
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    };

export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  /** Of the API: `PutImage`. Undefined for a request of the distribution spec. */
  readonly operation: string | undefined;
  /** Whose key signed it. Undefined for a request of the distribution spec. */
  readonly accessKeyId: string | undefined;
}

/** An error as the API has it (AWS JSON 1.1). */
export function apiError(name: string, message = name, status = 400): Fault {
  const body = JSON.stringify({ __type: name, message });
  return {
    kind: 'answer',
    status,
    headers: { 'content-type': 'application/x-amz-json-1.1' },
    body,
  };
}

/** The fault for the first `times` requests that match. */
export function faultFor(matches: (request: SeenRequest) => boolean, fault: Fault, times = 1) {
  let left = times;
  return (request: SeenRequest): Fault | undefined => {
    if (left === 0 || !matches(request)) return undefined;
    left -= 1;
    return fault;
  };
}
