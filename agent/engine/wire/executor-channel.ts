/** The agent's end of the connection to an executor: messages, and the pipe for the bytes of inputs and outputs. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { inspect } from 'node:util';
import type {
  AgentMessage,
  Answers,
  AskMessage,
  ExecutorMessage,
  OutputTensor,
  RanMessage,
  Request,
  Sent,
  Source,
} from './protocol.js';
import { BYTES_FD } from './protocol.js';

/** What the executor says, with the bytes of its outputs in their place. */
export type ReceivedMessage =
  | Exclude<ExecutorMessage, { readonly kind: 'answer' | 'ran' }>
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answers[keyof Answers] };

export class ExecutorChannel {
  readonly #child: ChildProcess;
  readonly #pipe: Duplex;
  /** Settles when the outputs of all messages so far have been read. */
  #outputsRead: Promise<void> = Promise.resolve();

  /** @param child forked with an IPC channel, and a pipe at BYTES_FD. */
  constructor(child: ChildProcess) {
    this.#child = child;
    this.#pipe = child.stdio[BYTES_FD] as Duplex;
    // The pipe breaks only when the process ends, which the process reports.
    this.#pipe.on('error', () => undefined);
  }

  /** Calls back when something comes that no executor says. */
  onGarbage(handle: (text: string) => void): void {
    this.#child.on('message', (message: unknown) => {
      if (!isExecutorMessage(message)) handle(`said ${inspect(message, { depth: 0 }).slice(0, 100)}`);
    });
  }

  onMessage(handle: (message: ReceivedMessage) => void): void {
    this.#child.on('message', (message: unknown) => {
      if (!isExecutorMessage(message)) return;
      if (message.kind !== 'ran') handle(message);
      else
        this.#outputsRead = this.#outputsRead.then(async () => {
          const outputs = await this.#readOutputs(message);
          handle({ kind: 'answer', id: message.id, answer: { ...message.result, outputs } });
        });
    });
  }

  /** @param onSent called when the message has left, with an error if it couldn't. */
  send(id: number, request: Request, onSent: (error: Error | null) => void): void {
    const bytes = 'image' in request && 'bytes' in request.image ? request.image.bytes : undefined;
    this.#send({ kind: 'ask', id, request: withoutBytes(request) }, onSent);
    if (bytes !== undefined) this.#pipe.write(bytes);
  }

  /** Ends a run that is going on after its step. */
  interrupt(): void {
    this.#send({ kind: 'interrupt' }, () => undefined);
  }

  #send(message: AgentMessage, onSent: (error: Error | null) => void): void {
    this.#child.send(message, onSent);
  }

  async #readOutputs({ outputs }: RanMessage): Promise<readonly OutputTensor[]> {
    const read: OutputTensor[] = [];
    for (const { byteCount, ...output } of outputs)
      read.push(byteCount === 0 ? output : { ...output, bytes: await this.#read(byteCount) });
    return read;
  }

  /** Waits for ever if the process ends meanwhile. */
  async #read(byteCount: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(byteCount);
    for (let at = 0; at < byteCount; ) {
      const { readableLength } = this.#pipe;
      if (readableLength === 0) {
        await once(this.#pipe, 'readable');
        continue;
      }
      const part: Uint8Array = this.#pipe.read(Math.min(byteCount - at, readableLength));
      bytes.set(part, at);
      at += part.byteLength;
    }
    return bytes;
  }
}

const KINDS: ReadonlySet<unknown> = new Set<ExecutorMessage['kind']>([
  'ready',
  'progress',
  'answer',
  'ran',
  'error',
]);

function isExecutorMessage(message: unknown): message is ExecutorMessage {
  return typeof message === 'object' && message !== null && 'kind' in message && KINDS.has(message.kind);
}

function withoutBytes(request: Request): AskMessage['request'] {
  switch (request.kind) {
    case 'run':
      return { ...request, image: describe(request.image) };
    case 'snapshot':
      return { ...request, image: describe(request.image) };
    default:
      return request;
  }
}

function describe<S extends Source>(source: S): Sent<S> {
  if (!('bytes' in source)) return source as Sent<S>;
  const { bytes, ...rest } = source;
  return { ...rest, byteCount: bytes.byteLength } as Sent<S>;
}
