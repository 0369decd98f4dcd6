/**
 * Tells the service manager how the service does, by the protocol of sd_notify(3): lines of `KEY=value` to the unix
 * datagram socket that NOTIFY_SOCKET names.
 *
 * Node.js has no such sockets, so `systemd-notify` sends each message: a process of a few milliseconds each half
 * minute, and no memory in between (docs/footprint.md compares the ways). It waits until the manager has read the
 * message, since the manager looks up the sender. So one message is sent at a time, and the others wait.
 *
 * Without the variable nothing happens. Children must not speak for the service, so they don't inherit the variables.
 */
import { spawn } from 'node:child_process';

/** Lines of a message by key. */
export type NotifyFields = Readonly<Record<string, string>>;

export interface NotifierOptions {
  /** Path of the socket, or an abstract name after `@`. Absent where no manager listens. */
  readonly socket?: string | undefined;
  /** Time after which the manager counts the service as hung without a WATCHDOG=1. */
  readonly watchdogMs?: number | undefined;
  /** Program that sends. Tests give their own. */
  readonly program?: string;
  /** Called when a message couldn't be sent, once until another one could. */
  readonly onError?: (error: Error) => void;
}

/** Longest time for one message. `systemd-notify` itself waits 5 s for the manager. */
const SEND_MS = 6000;

/** Messages that may wait. The manager reads them in milliseconds unless it hangs. */
const MOST_WAITING = 8;

/** Keys that change the service's state; their order counts, so messages with them aren't joined. */
const STATE_KEYS = ['READY', 'RELOADING', 'STOPPING'] as const;

export class ServiceNotifier {
  /** Undefined where the manager doesn't watch. */
  readonly watchdogMs: number | undefined;
  readonly #socket: string | undefined;
  readonly #program: string;
  readonly #onError: (error: Error) => void;
  readonly #waiting: NotifyFields[] = [];
  #sending: Promise<void> | undefined;
  #hasFailed = false;
  #isStopping = false;

  constructor({
    socket,
    watchdogMs,
    program = 'systemd-notify',
    onError = () => undefined,
  }: NotifierOptions) {
    this.#socket = socket;
    this.watchdogMs = socket === undefined ? undefined : watchdogMs;
    this.#program = program;
    this.#onError = onError;
  }

  /** The notifier of this process. It removes the manager's variables, so that children don't inherit them. */
  static fromEnvironment(
    options: Pick<NotifierOptions, 'onError' | 'program'> = {},
    env = process.env,
  ): ServiceNotifier {
    const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: microseconds, WATCHDOG_PID: pid } = env;
    for (const key of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[key];
    const isMeant = pid === undefined || pid === String(process.pid);
    const watchdogMs =
      isMeant && /^[1-9]\d*$/.test(microseconds ?? '') ? Number(microseconds) / 1000 : undefined;
    return new ServiceNotifier({ ...options, socket: socket === '' ? undefined : socket, watchdogMs });
  }

  /** Whether a manager listens. */
  get isActive(): boolean {
    return this.#socket !== undefined;
  }

  /**
   * Queues a message and returns at once. One that only tells how things are joins the last that waits. Nothing is
   * sent after STOPPING=1.
   */
  send(fields: NotifyFields): void {
    if (!this.isActive || this.#isStopping) return;
    this.#isStopping = 'STOPPING' in fields;
    const last = this.#waiting.at(-1);
    const isJoined = last !== undefined && !STATE_KEYS.some((key) => key in fields);
    if (isJoined) this.#waiting.pop();
    this.#waiting.push(isJoined ? { ...last, ...fields } : fields);
    if (this.#waiting.length > MOST_WAITING) this.#waiting.shift();
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
    });
  }

  /** READY=1 must follow. The time tells the manager which reload is meant; `hrtime` is CLOCK_MONOTONIC. */
  sendReloading(): void {
    const microseconds = process.hrtime.bigint() / 1000n;
    this.send({ RELOADING: '1', MONOTONIC_USEC: String(microseconds) });
  }

  /** Resolves when all messages so far were sent or given up. */
  async settle(): Promise<void> {
    await this.#sending;
  }

  async #sendAll(): Promise<void> {
    for (let fields = this.#waiting.shift(); fields !== undefined; fields = this.#waiting.shift()) {
      try {
        await this.#sendOne(fields);
        this.#hasFailed = false;
      } catch (error) {
        if (!this.#hasFailed) this.#onError(error as Error);
        this.#hasFailed = true;
      }
    }
  }

  #sendOne(fields: NotifyFields): Promise<void> {
    // A line's end would begin another field.
    const lines = Object.entries(fields).map(([key, value]) => `${key}=${value.replace(/\s+/g, ' ')}`);
    const env = { PATH: process.env.PATH, NOTIFY_SOCKET: this.#socket };
    return new Promise((resolve, reject) => {
      // Without pipes: their buffers would stay in the agent, 1 MB after 100 messages (bench/notify-ways).
      const options = { env, stdio: 'ignore', timeout: SEND_MS, killSignal: 'SIGKILL' } as const;
      const child = spawn(this.#program, lines, options);
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        if (code === 0) resolve();
        else reject(new Error(`${this.#program} ended by ${signal ?? `exit code ${code}`}`));
      });
    });
  }
}
