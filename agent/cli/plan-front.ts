/** `mafat plan MODEL --front`: lists the trade-offs between memory and speed as a table, JSON or a chart. */

import { writeFile } from 'node:fs/promises';
import type { WeightsPolicy } from '../../shared/search/index.js';
import { budgetedBytes } from '../../shared/search/index.js';
import type { Network } from '../planning/open-model.js';
import type { FrontSummary, PlanSummary } from '../planning/search.js';
import { drawChart } from './chart.js';
import { formatBytes, formatMs, formatTable, printJson, printLine } from './print.js';

export interface FrontReport {
  readonly json?: boolean;
  /** Path of the chart. */
  readonly svg?: string;
  /** Whether budgets include weights. */
  readonly weights: WeightsPolicy;
}

export async function reportFront(
  { name }: Network,
  { points: plans, complete }: FrontSummary,
  { json = false, svg, weights }: FrontReport,
): Promise<void> {
  const points = plans.map((plan) => ({ ...plan, budgetBytes: budgetedBytes(plan.predicted, weights) }));
  if (svg !== undefined) await writeFile(svg, drawFront(name, points));
  if (json) printJson({ model: name, complete, front: points });
  else printFront(points);
  if (!complete) process.stderr.write(`mafat: ${UNFINISHED}\n`);
}

const UNFINISHED = 'the search spent its limit of work; some of these plans may not be the best';

interface Point extends PlanSummary {
  /** Least budget that the plan meets. */
  readonly budgetBytes: number;
}

function printFront(points: readonly Point[]): void {
  const header = ['budget', 'working', 'weights', 'latency', 'level', 'threads', 'plan'];
  const rows = points.map(({ budgetBytes, notation, settings, predicted }) => [
    formatBytes(budgetBytes),
    formatBytes(predicted.workingBytes),
    formatBytes(predicted.weightsBytes),
    formatMs(predicted.latencyMs),
    settings.level,
    String(settings.threads),
    notation,
  ]);
  printLine(formatTable(header, rows));
}

function drawFront(name: string, points: readonly Point[]): string {
  const series = {
    name: 'predicted',
    joined: true,
    points: points.map(({ budgetBytes, notation, predicted: { latencyMs } }) => ({
      x: budgetBytes / 2 ** 20,
      y: latencyMs,
      label: `${notation}: ${formatBytes(budgetBytes)}, ${formatMs(latencyMs)}`,
    })),
  };
  return drawChart([{ title: name, xLabel: 'budget, MB', yLabel: 'latency, ms', series: [series] }]);
}
