/** Compiles a plan, and takes optimised models where there are any: what an executor loads. */
import type { Graph } from '../../shared/graph/index.js';
import type { Plan } from '../../shared/search/index.js';
import type { ModelOptimizer, OptimizeOptions } from './blocked/model-optimizer.js';
import type { CompileOptions } from './compile/compile.js';
import { compilePlan } from './compile/compile.js';
import type { Executor } from './wire/executor.js';
import type { Program } from './wire/protocol.js';

/** What a plan is compiled from: a graph of fixed shapes, the folder of its weights, and its image input. */
export interface LoadableModel extends CompileOptions {
  readonly graph: Graph;
}

export interface ProgramOptions extends OptimizeOptions {
  /** Absent where weights should stay as they are stored, as for a reference. */
  readonly optimizer?: ModelOptimizer;
}

export interface LoadOptions extends ProgramOptions {
  /** Called when everything is made, before the executor loads it. */
  readonly onLoad?: () => void;
}

/** The program of a plan. @throws {ExecutorError} if the optimiser's executor is lost; the signal's reason. */
export async function programOf(
  { graph, folder, input }: LoadableModel,
  plan: Plan,
  { optimizer, ...options }: ProgramOptions = {},
): Promise<Program> {
  const compiled = compilePlan(graph, plan, { folder, input });
  return (await optimizer?.optimize(compiled, options)) ?? compiled;
}

/** @throws {ExecutorError} if the executor is lost; {Error} with ONNX Runtime's reason; the signal's reason. */
export async function loadPlan(
  executor: Executor,
  { model, plan }: { readonly model: LoadableModel; readonly plan: Plan },
  { onLoad, ...options }: LoadOptions = {},
): Promise<void> {
  const program = await programOf(model, plan, options);
  onLoad?.();
  const { signal } = options;
  await executor.ask({ kind: 'load', program }, signal === undefined ? {} : { signal });
}
