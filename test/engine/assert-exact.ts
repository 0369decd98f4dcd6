/** Asserts the law of exactness on ONNX Runtime itself. */
import assert from 'node:assert/strict';
import { verifyOutputs } from '../../agent/cli/verify-outputs.js';
import type { OutputTensor } from '../../agent/engine/wire/protocol.js';
import type { Graph } from '../../shared/graph/index.js';
import { float32Values, foldChannelAffine, foldPads } from '../../shared/graph/index.js';
import type { PredictSettings } from '../../shared/predict/index.js';
import type { Plan } from '../../shared/search/index.js';
import { buildPlan, InexactPlanError, parsePlan } from '../../shared/search/index.js';
import { graphOf } from '../notation.js';
import { runInProcess } from '../run-in-process.js';

/** Runs a plan and the untiled network, and compares. @returns the plan as it ran. */
export async function assertExact(
  notation: string,
  planText: string,
  settings: PredictSettings,
): Promise<Plan> {
  const graph = readyGraph(notation);
  const plan = buildPlan(graph, parsePlan(planText), settings);
  const outputs = await runInProcess(graph, plan);
  const reference = await runInProcess(graph, buildPlan(graph, parsePlan('whole'), settings));
  if (reference.some(isConstant)) return plan;
  const bitExact = plan.segments.every(({ prediction }) => prediction.bitExact);
  const result = verifyOutputs(outputs, reference, { bitExact });
  assert.ok(result.exact, `${notation} as ${plan.notation}: ${JSON.stringify(result)}`);
  return plan;
}

/** As assertExact(). @returns undefined if the plan is refused, since it breaks the law of exactness. */
export async function assertExactOrRefused(...of: Parameters<typeof assertExact>): Promise<Plan | undefined> {
  try {
    return await assertExact(...of);
  } catch (error) {
    if (error instanceof InexactPlanError) return undefined;
    throw error;
  }
}

/** The graph as an import makes it. Operators are folded that ONNX Runtime would fuse across a cut. */
export function readyGraph(notation: string): Graph {
  return foldPads(foldChannelAffine(graphOf(notation)));
}

/** Whether outputs are all zeros, as those of random graphs may be. verifyOutputs() refuses to verify these. */
function isConstant({ bytes }: OutputTensor): boolean {
  const values = float32Values(bytes ?? new Uint8Array());
  return values.length > 1 && values.every((value) => value === values[0]);
}
