/**
 * Runs a program: segment after segment, step after step, each reading tiles of the maps before and writing
 * tiles of the maps after. It decides nothing; `compile.ts` did.
 *
 * Memory: buffers for tiles and preallocated maps stand from load to unload. Outputs of a run are fresh V8
 * buffers; they are copied out and let go at once, and a minor collection after each step frees them before
 * the next makes more. A map that is itself such an output is freed by a full collection when it dies.
 */
import { setImmediate } from 'node:timers/promises';
import type { DecodedImage } from './image.js';
import { ImageMap, TensorMap } from './map-store.js';
import type { TensorData } from './onnx-runtime.js';
import { Session } from './onnx-runtime.js';
import type {
  ImageInput,
  MapBinding,
  OutputTensor,
  Program,
  Region,
  SegmentProgram,
  Step,
} from './protocol.js';
import type { TypedArray } from './typed-array.js';
import { allocate } from './typed-array.js';

/** `globalThis.gc`, present under --expose-gc. */
export type CollectGarbage = (options?: { type: 'minor' | 'major' }) => void;

/** Freeing less than this isn't worth a full collection (1-2 ms on a small heap). */
const COLLECT_BYTES = 256 * 1024;

export interface RunnerOptions {
  readonly collect: CollectGarbage;
  /** Called after each step. */
  readonly onStep: (step: number, steps: number) => void;
}

export class ProgramRunner {
  readonly #program: Program;
  readonly #sessions: readonly Session[];
  readonly #options: RunnerOptions;
  /** One buffer per feed of each segment, as large as its largest tile. */
  readonly #buffers: readonly (readonly (TypedArray | undefined)[])[];
  readonly #maps: (TensorMap | ImageMap | undefined)[];

  private constructor(program: Program, sessions: readonly Session[], options: RunnerOptions) {
    this.#program = program;
    this.#sessions = sessions;
    this.#options = options;
    this.#buffers = program.segments.map((segment) =>
      segment.feeds.map((feed, at) => tileBuffer(program, { segment, feed, at })),
    );
    this.#maps = program.maps.map((spec) => (spec.preallocated ? TensorMap.ofSpec(spec) : undefined));
  }

  static async load(program: Program, options: RunnerOptions): Promise<ProgramRunner> {
    const sessions: Session[] = [];
    for (const { model } of program.segments) sessions.push(await Session.create(model, program));
    return new ProgramRunner(program, sessions, options);
  }

  async unload(): Promise<void> {
    for (const session of this.#sessions) await session.release();
    this.#maps.fill(undefined);
    this.#options.collect();
  }

  /** Outputs of the network for one image; valid until the next run. */
  async run(image: DecodedImage): Promise<readonly { readonly name: string; readonly tensor: TensorData }[]> {
    const steps = this.#program.segments.reduce((sum, segment) => sum + segment.steps.length, 0);
    let done = 0;
    this.#maps[0] = imageMap(image, this.#program.input);
    for (const [at, segment] of this.#program.segments.entries()) {
      for (const step of segment.steps) {
        await this.#runStep(at, step);
        this.#options.collect({ type: 'minor' });
        done += 1;
        this.#options.onStep(done, steps);
        await setImmediate();
      }
      this.#free(segment.frees);
    }
    const outputs = this.#program.outputs.map(({ name, map }) => ({ name, tensor: this.#tensorOf(map) }));
    this.#free(this.#program.outputs.map(({ map }) => map));
    return outputs;
  }

  async #runStep(at: number, step: Step): Promise<void> {
    const segment = this.#program.segments[at];
    const session = this.#sessions[at];
    if (segment === undefined || session === undefined)
      throw new RangeError(`Cannot run segment ${at}: not loaded`);
    const feeds = Object.fromEntries(
      segment.feeds.map(({ name, map }, feed) => {
        const region = step.reads[feed] ?? null;
        const buffer = this.#buffers[at]?.[feed];
        return [
          name,
          region === null || buffer === undefined
            ? this.#tensorOf(map)
            : this.#readTile(map, { region, buffer }),
        ];
      }),
    );
    const results = await session.run(feeds);
    for (const [fetch, { name, map }] of segment.fetches.entries()) {
      this.#store({ map, tensor: results[name] as TensorData, write: step.writes[fetch] ?? null });
    }
  }

  #readTile(map: number, { region, buffer }: { region: Region; buffer: TypedArray }): TensorData {
    const source = this.#maps[map];
    const spec = this.#program.maps[map];
    if (source === undefined || spec === undefined)
      throw new RangeError(`Cannot read map ${map}: it isn't there`);
    const shape = [...source.shape.slice(0, 2), region.rowTo - region.rowFrom, region.colTo - region.colFrom];
    const length = shape.reduce((product, dim) => product * dim, 1);
    source.read(region, buffer);
    return { dtype: spec.dtype, shape, data: buffer.subarray(0, length) as TypedArray };
  }

  #store({ map, tensor, write }: Stored): void {
    if (write === 'skip') return;
    if (write === null) {
      this.#maps[map] = new TensorMap(tensor);
      return;
    }
    const target = this.#maps[map];
    if (!(target instanceof TensorMap)) throw new RangeError(`Cannot write map ${map}: it isn't allocated`);
    target.write(tensor, write);
  }

  #tensorOf(map: number): TensorData {
    const source = this.#maps[map];
    if (source instanceof ImageMap) return source.toTensor();
    if (source === undefined) throw new RangeError(`Cannot read map ${map}: it isn't there`);
    return source.tensor;
  }

  /** Preallocated maps stay for the next image. */
  #free(maps: readonly number[]): void {
    let bytes = 0;
    for (const map of maps) {
      const dying = this.#maps[map];
      if (this.#program.maps[map]?.preallocated === true || dying === undefined) continue;
      if (dying instanceof TensorMap) bytes += dying.tensor.data.byteLength;
      this.#maps[map] = undefined;
    }
    if (bytes > COLLECT_BYTES) this.#options.collect();
  }
}

/** Tiles are cut from the two last axes, which are no space in an NHWC image: that one is converted whole. */
function imageMap(image: DecodedImage, input: ImageInput): TensorMap | ImageMap {
  const map = new ImageMap(image, input);
  return input.layout === 'nchw' ? map : new TensorMap(map.toTensor());
}

interface Stored {
  readonly map: number;
  readonly tensor: TensorData;
  readonly write: Step['writes'][number];
}

interface BufferNeed {
  readonly segment: SegmentProgram;
  readonly feed: MapBinding;
  readonly at: number;
}

function tileBuffer(program: Program, { segment, feed, at }: BufferNeed): TypedArray | undefined {
  const spec = program.maps[feed.map];
  const pixels = Math.max(0, ...segment.steps.map(({ reads }) => areaOf(reads[at] ?? null)));
  if (spec === undefined || pixels === 0) return undefined;
  return allocate(spec.dtype, pixels * (spec.shape[1] ?? 1));
}

function areaOf(region: Region | null): number {
  return region === null ? 0 : (region.rowTo - region.rowFrom) * (region.colTo - region.colFrom);
}

/** An output as it goes over the wire to the agent. */
export function packOutput(
  name: string,
  { dtype, shape, data }: TensorData,
  withValues: boolean,
): OutputTensor {
  if (!withValues) return { name, dtype, shape };
  return { name, dtype, shape, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}
