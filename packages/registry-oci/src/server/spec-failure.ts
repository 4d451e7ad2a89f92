/** The error codes of the OCI distribution spec, with the status each is answered with. */
const specStatus = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DENIED: 403,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 400,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  SIZE_INVALID: 400,
  UNAUTHORIZED: 401,
  UNSUPPORTED: 405,
  UNKNOWN: 500,
} as const;

export type SpecCode = keyof typeof specStatus;

/** A request that is answered with an error of the spec. */
export class SpecFailure extends Error {
  override readonly name = 'SpecFailure';
  readonly code: SpecCode;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: SpecCode,
    message: string,
    options: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message);
    this.code = code;
    this.status = options.status ?? specStatus[code];
    this.headers = options.headers ?? {};
  }
}
