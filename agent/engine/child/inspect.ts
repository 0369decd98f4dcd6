/** Answers questions about a model that need ONNX Runtime: the shapes of all tensors and the values of constants. */

import type { InspectedTensor, OutputTensor } from '../wire/protocol.js';
import { allocate } from '../wire/typed-array.js';
import type { TensorData, TensorInfo } from './onnx-runtime.js';
import { Session } from './onnx-runtime.js';
import { packOutput } from './program-runner.js';

export interface InspectedModel {
  readonly model: Uint8Array;
  readonly folder: string;
}

/**
 * Types and shapes of a model's outputs. Shapes that inference can't tell, because they depend on values, are
 * measured in a run on zeros.
 */
export async function inspectModel({ model, folder }: InspectedModel): Promise<readonly InspectedTensor[]> {
  const session = await Session.create(model, { folder, level: 'basic', threads: 1 });
  try {
    const unknown = session.outputs.filter(({ shape }) => shape === null).map(({ name }) => name);
    if (unknown.length === 0) return session.outputs;
    const measured = await session.run(zeroFeeds(session.inputs), unknown);
    return session.outputs.map((info) => measuredInfo(info, measured[info.name]));
  } finally {
    await session.release();
  }
}

function zeroFeeds(inputs: readonly TensorInfo[]): Record<string, TensorData> {
  return Object.fromEntries(
    inputs.map(({ name, dtype, shape }) => {
      if (shape === null) throw new RangeError(`Cannot inspect model: input "${name}" has no fixed shape`);
      const length = shape.reduce((product, dim) => product * dim, 1);
      return [name, { dtype, shape, data: allocate(dtype, length) }];
    }),
  );
}

function measuredInfo(info: TensorInfo, tensor: TensorData | undefined): InspectedTensor {
  return tensor === undefined ? info : { name: info.name, dtype: tensor.dtype, shape: tensor.shape };
}

/** Values of the outputs of a model without inputs. */
export async function evaluateModel({ model, folder }: InspectedModel): Promise<readonly OutputTensor[]> {
  const session = await Session.create(model, { folder, level: 'disabled', threads: 1 });
  try {
    const values = await session.run({});
    return Object.entries(values).map(([name, tensor]) => packOutput({ name, tensor }));
  } finally {
    await session.release();
  }
}
