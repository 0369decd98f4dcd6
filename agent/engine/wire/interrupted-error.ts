/** The run was ended after one of its steps, and its program is unloaded. The same input can be run again. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}
