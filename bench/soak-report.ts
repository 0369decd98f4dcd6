/** Judges a soak by its bars, and prints it. */
import { formatBytes, formatTable, printLine } from '../agent/cli/print.js';
import { elementAt } from '../shared/graph/index.js';
import { median } from '../shared/predict/index.js';
import type { NodeHealth } from '../shared/wire/index.js';
import type { LoopLagFigures } from './loop-lag-probe.js';
import { fitSlope } from './slope.js';
import type { RequestCounts } from './soak-client.js';
import type { TroubleCounts } from './soak-troubles.js';
import type { SoakSample } from './soak-watch.js';

export interface SoakResult {
  readonly minutes: number;
  readonly samples: readonly SoakSample[];
  readonly requests: RequestCounts;
  readonly troubles: TroubleCounts;
  /** The last report. */
  readonly health: NodeHealth | undefined;
  readonly lag: LoopLagFigures | undefined;
  readonly faults: readonly string[];
  /** How the agent ended; undefined if it didn't. */
  readonly end: string | undefined;
}

export interface Bar {
  readonly name: string;
  readonly measured: string;
  readonly most: string;
  readonly isMet: boolean;
}

const MOST = { slope: 1, lagMs: 50 } as const;

/** Errors of the slope by which it must be above the bar for the bar to be missed. */
const ERRORS = 2;

/** Share of the time after which memory counts. */
const SETTLED = 1 / 3;

const WINDOWS = 12;

export function judgeSoak(result: SoakResult): readonly Bar[] {
  const { requests, health, end, lag, faults, samples } = result;
  const failed = (health?.cameras ?? []).reduce((sum, camera) => sum + camera.failed, 0);
  const bars = [
    atMost('requests lost', requests.lost, 0),
    atMost('requests answered wrongly', requests.wrong, 0),
    atMost('refusals without a time to try again', requests.refusedWithoutTime, 0),
    atMost('frames failed', failed, 0),
    atMost('other faults', faults.length, requests.lost + requests.wrong),
    atMost('messages dropped by the spool', health?.spool.dropped ?? 0, 0),
    atMost('agent restarts', end === undefined ? 0 : 1, 0),
  ];
  const settled = samples.slice(Math.floor(samples.length * SETTLED));
  const lagBar = {
    name: 'event-loop lag, p99',
    measured: lag === undefined ? 'none' : `${lag.p99Ms.toFixed(1)} ms`,
    most: `${MOST.lagMs} ms`,
    isMet: lag !== undefined && lag.p99Ms <= MOST.lagMs,
  };
  return [...bars, slopeBar('agent', settled), slopeBar('executor', settled), lagBar];
}

function atMost(name: string, measured: number, most: number): Bar {
  return { name, measured: String(measured), most: String(most), isMet: measured <= most };
}

/** Seconds without the process, or with two of them, don't count. */
function slopeBar(process: 'agent' | 'executor', samples: readonly SoakSample[]): Bar {
  const key = `${process}Bytes` as const;
  const points = samples
    .filter(({ executors }) => process === 'agent' || executors === 1)
    .map((sample) => ({ hours: sample.seconds / 3600, megabytes: sample[key] / 2 ** 20 }));
  const slope = fitSlope(points);
  const [name, most] = [`slope of the ${process}'s memory`, `${MOST.slope} MB/h`];
  if (slope === undefined) return { name, measured: 'too few samples', most, isMet: true };
  const { perHour, error } = slope;
  const measured = `${perHour.toFixed(1)} ± ${error.toFixed(1)} MB/h`;
  return { name, measured, most, isMet: perHour - ERRORS * error <= MOST.slope };
}

export function printSoak(result: SoakResult, bars: readonly Bar[]): void {
  printMemory(result);
  const { requests, troubles, health, lag, faults, samples } = result;
  printLine(`\ntroubles: ${list(troubles, ['eatenBytes'])}`);
  printLine(`requests: ${list(requests)}`);
  for (const { name, ...counts } of health?.cameras ?? []) printLine(`camera ${name}: ${list(counts)}`);
  if (lag !== undefined)
    printLine(
      `event loop: p50 ${lag.p50Ms.toFixed(1)}, p99 ${lag.p99Ms.toFixed(1)}, most ${lag.maxMs.toFixed(1)} ms late`,
    );
  printLine(`the agent waited for a processor ${(100 * waitedRatio(samples)).toFixed(1)} % of the time`);
  for (const fault of faults) printLine(fault);
  printLine();
  const rows = bars.map(({ name, measured, most, isMet }) => [name, measured, most, isMet ? 'yes' : 'NO']);
  printLine(formatTable(['bar', 'measured', 'at most', 'met'], rows));
}

/** Lag that other work on the machine causes. */
function waitedRatio(samples: readonly SoakSample[]): number {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || first === last) return 0;
  return (last.agentWaitedMs - first.agentWaitedMs) / 1000 / (last.seconds - first.seconds);
}

function list(counts: object, without: readonly string[] = []): string {
  return Object.entries(counts)
    .filter(([name]) => !without.includes(name))
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');
}

/** A row is the median and the maximum of an equal part of the time. */
function printMemory({ samples, minutes }: SoakResult): void {
  if (samples.length < WINDOWS) return;
  const edge = (at: number) => Math.floor((at * samples.length) / WINDOWS);
  const rows = Array.from({ length: WINDOWS }, (_, at) => {
    const window = samples.slice(edge(at), edge(at + 1));
    const cells = (['agentBytes', 'executorBytes'] as const).flatMap((key) => {
      const values = window.map((sample) => sample[key]);
      return [formatBytes(median(values)), formatBytes(Math.max(...values))];
    });
    const { executorKills, brokerRestarts } = elementAt(window, window.length - 1);
    const until = `${(((at + 1) * minutes) / WINDOWS).toFixed(1)} min`;
    return [until, ...cells, String(executorKills), String(brokerRestarts)];
  });
  const header = ['until', 'agent', 'at most', 'executor', 'at most', 'kills', 'restarts'];
  printLine(formatTable(header, rows));
}
