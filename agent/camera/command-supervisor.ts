/**
 * Keeps the command of a camera running: starts it, notices when it ends, gives no frame in time or falls silent, ends
 * what is left of it, and starts it again after a pause. Pauses grow while no frame comes; the first frame makes the
 * next one the shortest again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CameraStatus } from '../../shared/wire/index.js';

/** One run of a command. */
export interface SupervisedCommand {
  /** @throws {Error} saying why it can't start. */
  start(): Promise<void>;
  /** Resolves with the reason when the command has ended by itself. */
  readonly ended: Promise<string>;
  /** The last that it said of itself, without credentials; may be empty. */
  readonly lastWords: string;
  /** Ends it, by force if need be. Resolves when it is gone. May be called whatever has become of it. */
  stop(): Promise<void>;
}

export interface CameraLoss {
  readonly reason: string;
  /** Time until the next start. */
  readonly retryMs: number;
}

export interface SupervisorOptions {
  /** Makes the command for one run. */
  readonly createCommand: () => SupervisedCommand;
  /** Longest time from a start to the first frame. */
  readonly firstFrameMs: number;
  /** Longest time between two frames. */
  readonly stallMs: number;
  /** Pauses before the next start, in turn; the last one is repeated. */
  readonly pausesMs?: readonly number[];
  readonly onStatus: (status: CameraStatus) => void;
  readonly onLost: (loss: CameraLoss) => void;
}

/** A source that is tried all the time costs a good part of a core (Frigate, Viseron). */
export const PAUSES_MS: readonly number[] = [5000, 10_000, 20_000, 40_000, 60_000];

const NOT_YET: CameraStatus = { state: 'starting', reason: null };

export class CommandSupervisor {
  readonly #options: Required<SupervisorOptions>;
  #status = NOT_YET;
  #controller: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();
  /** Losses since the last frame. */
  #losses = 0;
  #alarm: SilenceAlarm | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = { pausesMs: PAUSES_MS, ...options };
  }

  get status(): CameraStatus {
    return this.#status;
  }

  start(): void {
    if (this.#controller !== undefined) return;
    const controller = new AbortController();
    this.#controller = controller;
    this.#losses = 0;
    this.#running = this.#run(controller.signal);
  }

  /** Resolves when the command is gone. */
  async stop(): Promise<void> {
    this.#controller?.abort();
    this.#controller = undefined;
    await this.#running;
    this.#status = NOT_YET;
  }

  /** A frame has come. */
  countFrame(): void {
    this.#losses = 0;
    if (this.#status.state === 'running') this.#alarm?.postpone();
    else if (this.#alarm !== undefined) {
      this.#alarm.set(this.#options.stallMs, 'no frame for');
      this.#setStatus({ state: 'running', reason: null });
    }
  }

  /** Ends the command, which is started again. */
  restart(reason: string): void {
    this.#alarm?.raise(reason);
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const reason = await this.#runOnce(signal);
      if (signal.aborted) return;
      const { pausesMs, onLost } = this.#options;
      const retryMs = pausesMs[Math.min(this.#losses, pausesMs.length - 1)] ?? 0;
      this.#losses += 1;
      this.#setStatus({ state: 'waiting', reason });
      onLost({ reason, retryMs });
      await sleep(retryMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** One run of the command, which is gone afterwards. @returns why it was ended. */
  async #runOnce(signal: AbortSignal): Promise<string> {
    this.#setStatus({ state: 'starting', reason: this.#status.reason });
    const command = this.#options.createCommand();
    const alarm = new SilenceAlarm();
    alarm.set(this.#options.firstFrameMs, 'no frame within');
    this.#alarm = alarm;
    const abort = () => alarm.raise('stopped');
    signal.addEventListener('abort', abort, { once: true });
    const ended = command.start().then(() => command.ended, messageOf);
    const reason = await Promise.race([ended, alarm.raised]);
    signal.removeEventListener('abort', abort);
    this.#alarm = undefined;
    alarm.clear();
    await command.stop();
    return [reason, command.lastWords].filter((text) => text !== '').join(': ');
  }

  #setStatus(status: CameraStatus): void {
    this.#status = status;
    this.#options.onStatus(status);
  }
}

/** Is raised when nothing has postponed it for some time, or by hand. */
class SilenceAlarm {
  /** Raises it, with the reason. */
  raise: (reason: string) => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly raised = new Promise<string>((resolve) => {
    this.raise = resolve;
  });

  /** @param text goes before the time in the reason. */
  set(ms: number, text: string): void {
    this.clear();
    this.#timer = setTimeout(() => this.raise(`${text} ${ms / 1000} s`), ms);
  }

  postpone(): void {
    this.#timer?.refresh();
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
