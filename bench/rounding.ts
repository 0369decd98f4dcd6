/**
 * Measures from how many output pixels on a cropped convolution equals the whole one bit for bit. The results are the
 * constants of shared/predict/bit-exact.ts.
 *
 *     node dist/bench/rounding.js
 */

import { formatTable, printLine } from '../agent/cli/print.js';
import { Session } from '../agent/engine/child/onnx-runtime.js';
import { mulberry32 } from '../shared/darknet/index.js';
import { GraphBuilder } from '../shared/graph/index.js';
import { writeOnnx } from '../shared/onnx/index.js';
import { benchCommand } from './bench-options.js';

const WIDTHS = [1, 2, 3, 5, 7, 8, 11, 16, 23, 32];
const ROWS = 40;

interface Convolution {
  readonly channels: number;
  readonly filters: number;
  readonly kernel: number;
}

const CONVOLUTIONS: readonly Convolution[] = [
  { channels: 4, filters: 4, kernel: 1 },
  { channels: 14, filters: 128, kernel: 3 },
  { channels: 128, filters: 128, kernel: 1 },
  { channels: 4, filters: 4, kernel: 6 },
  { channels: 16, filters: 16, kernel: 3 },
  { channels: 64, filters: 64, kernel: 3 },
  { channels: 256, filters: 128, kernel: 1 },
  { channels: 256, filters: 256, kernel: 3 },
];

/** Largest number of output pixels at which a crop differed from the whole; 0 if none did. */
async function largestUnstable(convolution: Convolution, threads: number): Promise<number> {
  const session = await Session.create(modelOf(convolution), { folder: '.', level: 'extended', threads });
  let largest = 0;
  for (const width of WIDTHS) {
    const whole = await runRows(session, convolution, { width, rows: ROWS });
    for (let rows = 1; rows <= ROWS; rows += 1) {
      const crop = await runRows(session, convolution, { width, rows });
      const differs = crop.some((value, at) => {
        const filter = Math.floor(at / (rows * width));
        return value !== whole[filter * ROWS * width + (at % (rows * width))];
      });
      if (differs) largest = Math.max(largest, rows * width);
    }
  }
  await session.release();
  return largest;
}

function modelOf({ channels, filters, kernel }: Convolution): Uint8Array {
  const builder = new GraphBuilder();
  const random = mulberry32(1);
  const values = Float32Array.from({ length: filters * channels * kernel ** 2 }, () => random() - 0.5);
  const image = builder.addInput('image', [1, channels, kernel, kernel]);
  const weights = builder.addConstant('weights', values, [filters, channels, kernel, kernel]);
  const conv = builder.addMap(
    0,
    { op: 'Conv', inputs: [image, weights] },
    { channels: filters, rows: 1, cols: 1 },
  );
  return writeOnnx(builder.build('conv', [conv.tensor]), { symbolicSpace: true });
}

/** The first output rows. The noise of a row doesn't depend on the number of rows. */
async function runRows(
  session: Session,
  { channels, kernel }: Convolution,
  { width, rows }: { width: number; rows: number },
): Promise<Float32Array> {
  const shape = [1, channels, rows + kernel - 1, width + kernel - 1] as const;
  const planes = Array.from({ length: channels }, (_, channel) => {
    const random = mulberry32(channel + 2);
    return Array.from({ length: shape[2] * shape[3] }, () => random() - 0.5);
  });
  const feeds = { image: { dtype: 'float32' as const, shape, data: Float32Array.from(planes.flat()) } };
  const [output] = Object.values(await session.run(feeds));
  return output?.data as Float32Array;
}

benchCommand(
  'rounding',
  'Measures from how many output pixels on a cropped convolution equals the whole one.',
).parse();

const rows: string[][] = [];
for (const convolution of CONVOLUTIONS) {
  const { channels, filters, kernel } = convolution;
  const results: string[] = [];
  for (const threads of [1, 2, 3]) results.push(String(await largestUnstable(convolution, threads)));
  rows.push([`${channels}->${filters} ${kernel}x${kernel}`, String(channels * kernel ** 2), ...results]);
}
printLine('largest number of output pixels at which a crop differed from the whole');
printLine(formatTable(['convolution', 'inner dimension', '1 thread', '2 threads', '3 threads'], rows));
