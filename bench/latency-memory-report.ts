/** Report of bench/latency-memory: a table and a panel for each network and number of threads. */

import type { Panel, Point } from '../agent/cli/chart.js';
import { formatBytes, formatMs, formatTable, printLine } from '../agent/cli/print.js';
import type { Party } from './contestant.js';

export interface Result {
  readonly network: string;
  readonly threads: number;
  readonly rows: readonly Row[];
}

export interface Row {
  readonly party: Party;
  readonly contestant: string;
  /** Budgets at which a search chose the plan. */
  readonly budgets: readonly number[];
  /** Median over the turns. */
  readonly workingBytes: number;
  /** Largest value of any turn. */
  readonly workingBytesMost: number;
  readonly medianMs: number;
  readonly minMs: number;
  readonly latencyMs: readonly number[];
  /** Ratio of working memory to that of the fastest stock setting. */
  readonly memoryRatio: number;
  /** Ratio of the median latency to that of the fastest stock setting. */
  readonly latencyRatio: number;
  /** Difference from the untiled run; absent if the outputs weren't compared. */
  readonly difference?: { readonly relative: number; readonly exact: boolean };
}

const HEADER = [
  'party',
  'contestant',
  'working',
  'median',
  'min',
  'memory',
  'latency',
  'difference',
  'budgets',
];

export function printResult({ network, threads, rows }: Result): void {
  printLine();
  printLine(`${network}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`);
  printLine(formatTable(HEADER, rows.map(cellsOf)));
}

function cellsOf(row: Row): readonly string[] {
  return [
    row.party,
    row.contestant,
    formatBytes(row.workingBytes),
    formatMs(row.medianMs),
    formatMs(row.minMs),
    `${row.memoryRatio.toFixed(2)} x`,
    `${row.latencyRatio.toFixed(2)} x`,
    formatDifference(row),
    row.budgets.map((bytes) => `${bytes / 2 ** 20}M`).join(' '),
  ];
}

function formatDifference({ difference }: Row): string {
  if (difference === undefined) return '';
  const { relative, exact } = difference;
  return `${relative === 0 ? '0' : relative.toExponential(0)}${exact ? '' : ' !'}`;
}

/** Plot of a result. Points near the lower left corner are better. */
export function panelOf({ network, threads, rows }: Result): Panel {
  const parties = [...new Set(rows.map(({ party }) => party))];
  const series = parties.map((party) => ({
    name: party,
    joined: false,
    points: rows.filter((row) => row.party === party).map(pointOf),
  }));
  const title = `${network}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
  return { title, xLabel: 'working memory, MB', yLabel: 'median latency, ms', series };
}

function pointOf(row: Row): Point {
  const label = `${row.contestant}: ${formatBytes(row.workingBytes)}, ${formatMs(row.medianMs)}`;
  return { x: row.workingBytes / 2 ** 20, y: row.medianMs, label };
}
