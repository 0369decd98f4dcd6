/** A request that can't be served; `status` is the HTTP status that says why, `field` the place in the request. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly code = 'BAD_REQUEST';
  readonly status: number;
  readonly field: string;

  constructor(field: string, message: string, status = 400) {
    super(`${field}: ${message}`);
    this.field = field;
    this.status = status;
  }
}
