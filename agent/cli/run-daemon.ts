/**
 * Runs the agent until a signal ends it, within 5 s whatever its children do:
 *
 * 1. The first SIGTERM or SIGINT stops the agent, even while it starts. The frame that runs is finished.
 * 2. Children that still run after `children` are killed, and so is what they did.
 * 3. After `process`, or at a second signal, the process ends as it is. The store survives that, since it is in WAL mode.
 */
import type { Logger } from 'pino';
import { killDisposables } from '../board/disposable-child.js';
import type { ServiceNotifier } from '../board/service-notifier.js';
import type { DaemonSignals, EndSignal } from '../early-signals.js';

/** The daemon, as far as its life is concerned. */
export interface Daemon {
  /** Ends early, without an error, if `stop` is called meanwhile. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Refuses all work from now on, so that a child that is killed isn't replaced. */
  refuse(): void;
}

export interface ReloadableDaemon extends Daemon {
  /** Takes over the configuration; a bad one changes nothing. @throws if the daemon can't go on. */
  reload(): Promise<void>;
}

export interface DaemonOptions {
  readonly signals: DaemonSignals;
  readonly notifier: ServiceNotifier;
  readonly log: Logger;
}

/** Time from the first signal on. The rest of the 5 s is for closing the connection, which takes 1.5 s at most. */
const DEADLINES_MS = { children: 2500, process: 4500 } as const;

export async function runDaemon(daemon: ReloadableDaemon, options: DaemonOptions): Promise<void> {
  const { signals, log } = options;
  let stopping: Promise<void> | undefined;
  let fail: (error: Error) => void = () => undefined;
  const ended = new Promise<void>((resolve, reject) => {
    fail = reject;
    signals.listenForEnd((signal) => {
      if (stopping !== undefined) endNow(daemon, { log, reason: `${signal} came again` });
      stopping = stopInTime(daemon, { ...options, signal });
      resolve();
    });
  });
  try {
    if (stopping === undefined) await daemon.start();
    let reloading = Promise.resolve();
    signals.listenForReload(() => {
      reloading = reloading
        .then(() => (stopping === undefined ? reload(daemon, options) : undefined))
        .catch(fail);
    });
    await ended;
  } catch (error) {
    if (stopping === undefined) throw error;
    log.warn({ error: String(error) }, 'start broken off by a signal');
  } finally {
    await (stopping ?? daemon.stop());
  }
}

async function stopInTime(
  daemon: Daemon,
  { log, notifier, signal }: DaemonOptions & { readonly signal: EndSignal },
): Promise<void> {
  log.info({ signal }, 'agent stops');
  notifier.send({ STOPPING: '1' });
  const timers = [
    setTimeout(() => {
      log.warn({ afterMs: DEADLINES_MS.children }, 'children still run; they are killed');
      killChildren(daemon);
    }, DEADLINES_MS.children),
    setTimeout(
      () => endNow(daemon, { log, reason: `not stopped within ${DEADLINES_MS.process} ms` }),
      DEADLINES_MS.process,
    ),
  ];
  try {
    await daemon.stop();
  } finally {
    for (const timer of timers) clearTimeout(timer);
  }
}

function killChildren(daemon: Daemon): void {
  daemon.refuse();
  killDisposables();
}

function endNow(daemon: Daemon, { log, reason }: { readonly log: Logger; readonly reason: string }): never {
  killChildren(daemon);
  log.error({ reason }, 'agent ends without waiting for its parts');
  process.exit(1);
}

async function reload(daemon: ReloadableDaemon, { notifier }: DaemonOptions): Promise<void> {
  notifier.sendReloading();
  await daemon.reload();
  notifier.send({ READY: '1' });
}
