/**
 * Keeps the heap of a process that runs for months small. V8 lets garbage pile up that it could collect at little
 * cost, and hardly counts bytes outside its heap: images, messages and their copies. docs/footprint.md has the figures.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Time between two looks at the memory outside the heap. */
const LOOK_MS = 1000;

/** Growth that is worth a collection, which takes some 15 ms: one frame of a camera and its copies. */
const WORTH_BYTES = 2 ** 20;

/** Favours size, and collects once a second where bytes outside the heap grew. An idle process collects nothing. */
export function keepHeapSmall(): void {
  setFlagsFromString('--optimize-for-size');
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  let keptBytes = 0;
  setInterval(() => {
    const { external } = process.memoryUsage();
    if (external - keptBytes < WORTH_BYTES) return;
    collect();
    keptBytes = process.memoryUsage().external;
  }, LOOK_MS).unref();
}
