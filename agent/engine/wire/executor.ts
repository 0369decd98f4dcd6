/** An executor process as its users see it: they ask, it answers. The agent's side has the one implementation. */
import type { Answers, Request } from './protocol.js';

export interface AskOptions {
  /** Time without a sign of life after which the executor is killed; each sign restarts it. */
  readonly deadlineMs?: number;
  readonly onProgress?: (step: number, steps: number) => void;
  readonly signal?: AbortSignal;
}

export interface Executor {
  /** @throws {Error} if the executor is lost or refuses the request, or the signal aborts. */
  ask<K extends Request['kind']>(
    request: Extract<Request, { kind: K }>,
    options?: AskOptions,
  ): Promise<Answers[K]>;
  stop(): Promise<void>;
}
