/**
 * The node's state for the service manager, as the last feature to start: READY=1, then a STATUS line where it has
 * changed, and WATCHDOG=1 while the node is healthy. A watchdog that isn't fed makes the manager restart the node.
 *
 * Health is looked at more often than the watchdog needs, so that a fault which passes doesn't cost a restart.
 */
import type { Logger } from 'pino';
import { LoopLag } from '../board/loop-lag.js';
import type { NotifyFields, ServiceNotifier } from '../board/service-notifier.js';
import type { NodeSnapshot } from './snapshot.js';
import { TimeExtension } from './time-extension.js';

export interface ServiceStateOptions {
  readonly notifier: ServiceNotifier;
  readonly snapshot: () => Pick<NodeSnapshot, 'models' | 'queue' | 'configFault'>;
  /** Why the node should be restarted; undefined while it is healthy. */
  readonly fault: () => string | undefined;
  /** Whether a job runs that takes minutes, such as a calibration. The start counts as one by itself. */
  readonly isBusy?: () => boolean;
  readonly log: Logger;
}

/** Longest time between two looks, and between two status lines. */
const LOOK_MS = 1000;
const STATUS_MS = 5000;

/** Looks in the time in which the watchdog must be fed. */
const LOOKS = 8;

export class ServiceState {
  /** To be started before all that takes long. */
  readonly extension: TimeExtension;
  readonly #options: ServiceStateOptions;
  #timer: NodeJS.Timeout | undefined;
  #lookMs = LOOK_MS;
  #lag = new LoopLag(LOOK_MS, 0);
  #isReady = false;
  #fedAtMs = 0;
  #fault: string | undefined;
  #status = '';
  #counted = { runs: 0, atMs: 0 };

  constructor(options: ServiceStateOptions) {
    this.#options = options;
    const { notifier, isBusy = () => false } = options;
    this.extension = new TimeExtension({ notifier, isBusy: () => !this.#isReady || isBusy() });
  }

  start(): void {
    this.#isReady = true;
    const { notifier } = this.#options;
    if (!notifier.isActive) return;
    const nowMs = performance.now();
    this.#lookMs = Math.min(LOOK_MS, (notifier.watchdogMs ?? Number.POSITIVE_INFINITY) / LOOKS);
    this.#lag = new LoopLag(this.#lookMs, nowMs);
    this.#fedAtMs = nowMs;
    notifier.send({ READY: '1', ...this.#describe(nowMs) });
    this.#timer = setInterval(() => this.#look(performance.now()), this.#lookMs);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(nowMs: number): void {
    this.#lag.tick(nowMs);
    this.#note(this.#lag.faultAt(nowMs) ?? this.#options.fault());
    const isStatusDue = nowMs - this.#counted.atMs >= STATUS_MS;
    const fields = { ...this.#feed(nowMs), ...(isStatusDue ? this.#describe(nowMs) : {}) };
    if (Object.keys(fields).length > 0) this.#options.notifier.send(fields);
  }

  #note(fault: string | undefined): void {
    const { log, notifier } = this.#options;
    if (fault !== undefined && this.#fault === undefined)
      log.error({ fault, watchdogMs: notifier.watchdogMs }, 'watchdog not fed until the fault has passed');
    if (fault === undefined && this.#fault !== undefined)
      log.info({ fault: this.#fault }, 'fault has passed; watchdog fed');
    this.#fault = fault;
  }

  #feed(nowMs: number): NotifyFields {
    const { watchdogMs } = this.#options.notifier;
    if (watchdogMs === undefined || this.#fault !== undefined) return {};
    // The next look would be later than half of the time.
    const isDue = nowMs + this.#lookMs - this.#fedAtMs > watchdogMs / 2;
    if (!isDue) return {};
    this.#fedAtMs = nowMs;
    return { WATCHDOG: '1' };
  }

  /** A status line; empty if it is that of the last time. */
  #describe(nowMs: number): NotifyFields {
    const { models, queue, configFault } = this.#options.snapshot();
    const runs = queue.frame.done + queue.request.done;
    const seconds = (nowMs - this.#counted.atMs) / 1000;
    const rate = this.#counted.atMs === 0 ? 0 : (runs - this.#counted.runs) / seconds;
    this.#counted = { runs, atMs: nowMs };
    const status = describeStatus(models, { rate, fault: this.#fault ?? configFault?.split('\n')[0] });
    if (status === this.#status) return {};
    this.#status = status;
    return { STATUS: status };
  }
}

/** For `systemctl status`: plans in force and inferences a second, which are rounded so that few lines differ. */
export function describeStatus(
  models: NodeSnapshot['models'],
  { rate, fault }: { readonly rate: number; readonly fault: string | undefined },
): string {
  const plans = models.map(
    ({ name, plan, pressure }) =>
      `${name}: ${plan?.notation ?? 'no plan'}${pressure === 'ok' ? '' : ` (${pressure})`}`,
  );
  const shown = rate >= 10 ? rate.toFixed(0) : String(Math.round(rate * 2) / 2);
  return [
    ...(fault === undefined ? [] : [`not healthy: ${fault}`]),
    plans.length === 0 ? 'no models' : plans.join(', '),
    `${shown} inferences/s`,
  ].join('; ');
}
