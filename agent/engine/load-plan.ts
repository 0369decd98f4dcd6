/** Compiles a plan, takes optimised models where there are any, and loads the result into an executor. */
import type { Graph } from '../../shared/graph/index.js';
import type { Plan } from '../../shared/search/index.js';
import type { ModelOptimizer, OptimizeOptions } from './blocked/model-optimizer.js';
import type { CompileOptions } from './compile/compile.js';
import { compilePlan } from './compile/compile.js';
import type { ExecutorClient } from './executor-client.js';

/** What a plan is compiled from: a graph of fixed shapes, the folder of its weights, and its image input. */
export interface LoadableModel extends CompileOptions {
  readonly graph: Graph;
}

export interface LoadOptions extends OptimizeOptions {
  /** Absent where weights should stay as they are stored, as for a reference. */
  readonly optimizer?: ModelOptimizer;
  /** Called when everything is made, before the executor loads it. */
  readonly onLoad?: () => void;
}

/** @throws {ExecutorError} if the executor is lost; {Error} with ONNX Runtime's reason; the signal's reason. */
export async function loadPlan(
  executor: ExecutorClient,
  { model: { graph, folder, input }, plan }: { readonly model: LoadableModel; readonly plan: Plan },
  { optimizer, onLoad, ...options }: LoadOptions = {},
): Promise<void> {
  const compiled = compilePlan(graph, plan, { folder, input });
  const program = (await optimizer?.optimize(compiled, options)) ?? compiled;
  onLoad?.();
  const { signal } = options;
  await executor.ask({ kind: 'load', program }, signal === undefined ? {} : { signal });
}
