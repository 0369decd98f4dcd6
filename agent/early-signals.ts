/**
 * Signals of the daemon from its first line on. By default SIGHUP and SIGTERM end a process at once, and loading the
 * agent takes a second on a slow card. So this file imports nothing, and main.ts calls it before it loads anything.
 * Signals that come before anyone listens are kept.
 *
 * Before the first line the kernel's default holds, which no script of Node.js can change: Node.js resets all signals
 * when it starts. The unit isn't reloaded before READY=1, so systemd sends no SIGHUP then.
 */

export type EndSignal = 'SIGTERM' | 'SIGINT';

const END_SIGNALS = ['SIGTERM', 'SIGINT'] as const satisfies readonly EndSignal[];

export class DaemonSignals {
  #isCaught = false;
  /** Signals that end the daemon, until there is a listener. */
  readonly #earlyEnds: EndSignal[] = [];
  #isReloadDue = false;
  #onEnd: ((signal: EndSignal) => void) | undefined;
  #onReload: (() => void) | undefined;

  /** Takes the signals' default away; may be called again. */
  catchAll(): void {
    if (this.#isCaught) return;
    this.#isCaught = true;
    process.on('SIGHUP', () => this.#takeReload());
    for (const signal of END_SIGNALS) process.on(signal, () => this.#takeEnd(signal));
  }

  /** Calls back with each signal that asks for the end, first with those that came before. */
  listenForEnd(onEnd: (signal: EndSignal) => void): void {
    this.#onEnd = onEnd;
    for (const signal of this.#earlyEnds.splice(0)) onEnd(signal);
  }

  /** Calls back with each wish for a reload; once if any came before. */
  listenForReload(onReload: () => void): void {
    this.#onReload = onReload;
    if (!this.#isReloadDue) return;
    this.#isReloadDue = false;
    onReload();
  }

  #takeEnd(signal: EndSignal): void {
    if (this.#onEnd === undefined) this.#earlyEnds.push(signal);
    else this.#onEnd(signal);
  }

  #takeReload(): void {
    if (this.#onReload === undefined) this.#isReloadDue = true;
    else this.#onReload();
  }
}

/** Those of this process. */
export const daemonSignals = new DaemonSignals();
