/** The image or tensor that came can't be used: the sender's fault, not ours. */
export class InputError extends RangeError {
  override readonly name = 'InputError';
}
