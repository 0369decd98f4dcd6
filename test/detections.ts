/** Detections in an agent's answers and in a command's report, and whether they are the same. */
import assert from 'node:assert/strict';
import type { Detection } from '../agent/decode/detection.js';
import type { Answer } from './agent-client.js';

/** Plans differ in their kernels, and so in the last bits of floats: far less than this, in scores and in pixels. */
const TOLERANCE = { confidence: 1e-4, box: 0.05 } as const;

/** Reads the tensors of an answer. */
export function detectionsOf({ outputs, error }: Answer): readonly Detection[] {
  assert.equal(error, undefined);
  const column = (name: string) => outputs?.find((output) => output.name === name)?.data ?? [];
  const [classes, labels, boxes] = [column('classes'), column('labels'), column('boxes').map(Number)];
  return column('scores').map((confidence, at) => {
    const [x = 0, y = 0, width = 0, height = 0] = boxes.slice(4 * at, 4 * at + 4);
    const label = String(labels[at]);
    return {
      label,
      classId: Number(classes[at]),
      confidence: Number(confidence),
      box: { x, y, width, height },
    };
  });
}

/** Each detection is among the others once, in whatever order. */
export function assertSameDetections(found: readonly Detection[], expected: readonly Detection[]): void {
  const left = [...found];
  for (const detection of expected) {
    const at = left.findIndex((candidate) => isSame(candidate, detection));
    assert.notEqual(at, -1, `${JSON.stringify(detection)} isn't in ${JSON.stringify(left)}`);
    left.splice(at, 1);
  }
  assert.deepEqual(left, []);
}

function isSame(a: Detection, b: Detection): boolean {
  const isNear = (edge: keyof Detection['box']) => Math.abs(a.box[edge] - b.box[edge]) <= TOLERANCE.box;
  return (
    a.label === b.label &&
    a.classId === b.classId &&
    Math.abs(a.confidence - b.confidence) <= TOLERANCE.confidence &&
    (['x', 'y', 'width', 'height'] as const).every(isNear)
  );
}
