/** Sorts outputs by the stride of their cells. */
import type { NetworkFacts, OutputShape } from './box-decoder.js';
import { gridOf } from './box-decoder.js';
import { cellShape } from './cell-values.js';

export interface StrideLevel {
  readonly stride: number;
  readonly members: readonly OutputShape[];
}

/**
 * Rows of cells and maps by stride, for the first of several lists of strides with which each
 * stride has as many outputs as the others, and none is left over.
 */
export function levelsOf(
  { outputs, ...size }: NetworkFacts,
  tried: readonly (readonly number[])[],
): readonly StrideLevel[] | undefined {
  const all = tried.map((strides) =>
    strides.map((stride) => {
      const { rows, cols } = gridOf(size, stride);
      const fits = ({ shape }: OutputShape): boolean => {
        const isMap = shape.length === 4;
        return cellShape({ shape }).cells === rows * cols && (!isMap || shape[2] === rows);
      };
      return { stride, members: outputs.filter(fits) };
    }),
  );
  return all.find((levels) =>
    levels.every(({ members }) => members.length === outputs.length / levels.length),
  );
}
