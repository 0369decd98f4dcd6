/** Answers questions about a model that need ONNX Runtime: the shapes of all tensors and the values of constants. */

import type { InspectedTensor, InspectRequest, OutputTensor } from '../wire/protocol.js';
import { allocate } from '../wire/typed-array.js';
import type { TensorData, TensorInfo } from './onnx-runtime.js';
import { Session } from './onnx-runtime.js';
import { packOutput } from './program-runner.js';

/** A model without inputs. */
export interface ConstantModel {
  readonly model: Uint8Array;
  readonly folder: string;
}

/**
 * Types and shapes of a model's outputs. Shapes that inference can't tell are measured in a run on noise. Those that
 * depend on the values of the inputs are an example then.
 */
export async function inspectModel({
  model,
  folder,
  unsure,
}: InspectRequest): Promise<readonly InspectedTensor[]> {
  const session = await Session.create(model, { folder, level: 'basic', threads: 1 });
  try {
    const ranks = new Set(unsure);
    const unknown = session.outputs
      .filter(({ name, shape }) => shape === null || (shape.length === 0 && ranks.has(name)))
      .map(({ name }) => name);
    if (unknown.length === 0) return session.outputs;
    const measured = await session.run(noiseFeeds(session.inputs), unknown);
    return session.outputs.map((info) => measuredInfo(info, measured[info.name]));
  } finally {
    await session.release();
  }
}

/** Multiples of the golden ratio are spread evenly between whole numbers. */
const GOLDEN = 0.618033988749895;

/** Floats from 0 to 1, and zeros of other types. */
function noiseFeeds(inputs: readonly TensorInfo[]): Record<string, TensorData> {
  return Object.fromEntries(
    inputs.map(({ name, dtype, shape }) => {
      if (shape === null) throw new RangeError(`Cannot inspect model: input "${name}" has no fixed shape`);
      const length = shape.reduce((product, dim) => product * dim, 1);
      const data = allocate(dtype, length);
      if (data instanceof Float32Array) for (let at = 0; at < length; at += 1) data[at] = (at * GOLDEN) % 1;
      return [name, { dtype, shape, data }];
    }),
  );
}

function measuredInfo(info: TensorInfo, tensor: TensorData | undefined): InspectedTensor {
  return tensor === undefined ? info : { name: info.name, dtype: tensor.dtype, shape: tensor.shape };
}

/** Values of the outputs of a model without inputs. */
export async function evaluateModel({ model, folder }: ConstantModel): Promise<readonly OutputTensor[]> {
  const session = await Session.create(model, { folder, level: 'disabled', threads: 1 });
  try {
    const values = await session.run({});
    return Object.entries(values).map(([name, tensor]) => packOutput({ name, tensor }));
  } finally {
    await session.release();
  }
}
