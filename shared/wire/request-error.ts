/** A request that can't be served; `status` is the HTTP status that says why, `field` the place in the request. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly code = 'BAD_REQUEST';
  readonly status: number;
  readonly field: string;
  /** Seconds after which the same request may succeed; undefined where it never will. */
  readonly retryAfterS: number | undefined;

  constructor(field: string, message: string, status = 400, retryAfterS?: number) {
    super(`${field}: ${message}`);
    this.field = field;
    this.status = status;
    this.retryAfterS = retryAfterS;
  }
}
