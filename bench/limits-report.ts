/** Report of bench/limits: a table by limit and a plot. */

import type { Panel, Point, Tick } from '../agent/cli/chart.js';
import { formatBytes, formatMs, formatTable, printLine } from '../agent/cli/print.js';
import { median } from '../shared/predict/index.js';
import type { Party } from './contestant.js';
import type { LimitedTurn } from './limits-turn.js';

export interface LimitRow extends LimitedTurn {
  readonly party: Party;
  readonly contender: string;
  /** Plan or setting that it ran by. */
  readonly ran: string;
  readonly limitBytes: number | undefined;
}

const HEADER = ['limit', 'contender', 'median', 'min', 'slower', 'faults', 'in', 'out', 'killed', 'ran'];

export function printRows(rows: readonly LimitRow[]): void {
  printLine();
  printLine(
    formatTable(
      HEADER,
      rows.map((row) => cellsOf(row, rows)),
    ),
  );
  printLine();
  printLine('slower: ratio of the median to that of the same contender without a limit');
  printLine('faults, in, out: major faults and pages swapped in and out, per run');
  for (const { contender, limitBytes, failure } of rows) {
    if (failure !== undefined) printLine(`${contender} at ${limitText(limitBytes)}: ${failure}`);
  }
}

function cellsOf(row: LimitRow, rows: readonly LimitRow[]): readonly string[] {
  const { contender, ran, limitBytes, latencyMs, faults, tries, kills } = row;
  const perRun = (count: number | undefined) =>
    count === undefined ? '-' : (count / latencyMs.length).toFixed(0);
  const free = rows.find((other) => other.contender === contender && other.limitBytes === undefined);
  const ratio = median(latencyMs) / median(free?.latencyMs ?? []);
  return [
    limitText(limitBytes),
    contender,
    latencyMs.length === 0 ? '-' : formatMs(median(latencyMs)),
    latencyMs.length === 0 ? '-' : formatMs(Math.min(...latencyMs)),
    Number.isFinite(ratio) ? `${ratio.toFixed(2)} x` : '-',
    perRun(faults?.majorFaults),
    perRun(faults?.swappedIn),
    perRun(faults?.swappedOut),
    `${kills}/${tries}`,
    ran === contender ? '' : ran,
  ];
}

function limitText(limitBytes: number | undefined): string {
  return limitBytes === undefined ? 'none' : formatBytes(limitBytes);
}

/** Plot of latency by limit with a line for each contender. A cross above all points means that no try survived. */
export function panelOf(rows: readonly LimitRow[], title: string): Panel {
  const limits = [...new Set(rows.flatMap(({ limitBytes }) => limitBytes ?? []))];
  const frame: Frame = {
    freeAt: 2 * Math.max(1, ...limits.map(megas)),
    failedAt: 2 * Math.max(1, ...rows.flatMap(({ latencyMs }) => latencyMs)),
  };
  const xTicks: readonly Tick[] = [
    ...limits.map((bytes) => ({ at: megas(bytes), text: String(megas(bytes)) })),
    { at: frame.freeAt, text: 'none' },
  ];
  const series = [...new Set(rows.map(({ contender }) => contender))].map((name) => ({
    name,
    joined: true,
    points: rows.filter(({ contender }) => contender === name).map((row) => pointOf(row, frame)),
  }));
  return { title, xLabel: 'limit above idle, MB', yLabel: 'median latency, ms', xTicks, series };
}

interface Frame {
  /** Place of "no limit" on the x axis, in MB. */
  readonly freeAt: number;
  /** Place of contenders that didn't survive on the y axis, in ms. */
  readonly failedAt: number;
}

function pointOf({ limitBytes, latencyMs, kills, tries, ran }: LimitRow, { freeAt, failedAt }: Frame): Point {
  const failed = latencyMs.length === 0;
  const outcome = failed ? 'did not survive' : formatMs(median(latencyMs));
  const label = `${ran}, ${limitText(limitBytes)}: ${outcome}, killed ${kills} of ${tries}`;
  const x = limitBytes === undefined ? freeAt : megas(limitBytes);
  return { x, y: failed ? failedAt : median(latencyMs), label, failed };
}

function megas(bytes: number): number {
  return bytes / 2 ** 20;
}
