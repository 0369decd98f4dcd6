/**
 * Runs a program: segment after segment, step after step, each reading tiles of the maps before and writing
 * tiles of the maps after. It decides nothing; `compile.ts` did.
 *
 * Memory: a segment's buffers and output maps stand while it runs and serve all its steps; a map stands until its
 * last reader has run. Outputs of a run are fresh V8 buffers, copied to where they belong. Whatever is done with
 * is released at once: waiting for the collector costs memory, and making it come costs a tenth of the time.
 */
import { setImmediate } from 'node:timers/promises';
import type {
  ImageInput,
  MapBinding,
  OutputTensor,
  Program,
  Region,
  SegmentProgram,
  SessionProgram,
  Step,
} from '../wire/protocol.js';
import type { TypedArray } from '../wire/typed-array.js';
import { allocate, release } from '../wire/typed-array.js';
import type { DecodedImage } from './image.js';
import { ImageMap, TensorMap } from './map-store.js';
import type { TensorData } from './onnx-runtime.js';
import { Session } from './onnx-runtime.js';
import { StreamState } from './stream-state.js';

export interface RunnerOptions {
  /** Called after each step. */
  readonly onStep: (step: number, steps: number) => void;
}

export class ProgramRunner {
  readonly #program: Program;
  /** By segment. */
  readonly #sessions: readonly (readonly Session[])[];
  readonly #options: RunnerOptions;
  readonly #steps: number;
  readonly #maps: (TensorMap | ImageMap | undefined)[];
  /** The input came in a message, whose memory isn't ours to release. */
  #isBorrowed = false;
  #stepsDone = 0;

  private constructor(program: Program, sessions: readonly (readonly Session[])[], options: RunnerOptions) {
    this.#program = program;
    this.#sessions = sessions;
    this.#options = options;
    this.#maps = program.maps.map(() => undefined);
    this.#steps = program.segments.reduce((sum, segment) => sum + segment.steps.length, 0);
  }

  static async load(program: Program, options: RunnerOptions): Promise<ProgramRunner> {
    const sessions: Session[][] = program.segments.map(() => []);
    try {
      for (const [at, segment] of program.segments.entries()) {
        const repeats = segment.steps.length > segment.sessions.length;
        for (const session of segment.sessions)
          sessions[at]?.push(await createSession(session, { program, repeats }));
      }
    } catch (error) {
      for (const session of sessions.flat()) await session.release();
      throw error;
    }
    return new ProgramRunner(program, sessions, options);
  }

  async unload(): Promise<void> {
    for (const session of this.#sessions.flat()) await session.release();
    this.#maps.fill(undefined);
  }

  /** Outputs of the network for one image, which is released when it has been read, or for its input tensor. */
  async run(
    input: DecodedImage | TensorData,
  ): Promise<readonly { readonly name: string; readonly tensor: TensorData }[]> {
    this.#stepsDone = 0;
    this.#isBorrowed = 'dtype' in input;
    this.#maps[0] = 'dtype' in input ? new TensorMap(input) : imageMap(input, this.#program.input);
    try {
      for (const [at, segment] of this.#program.segments.entries()) await this.#runSegment(at, segment);
      return this.#program.outputs.map(({ name, map }) => ({ name, tensor: this.#tensorOf(map) }));
    } finally {
      this.#maps.fill(undefined);
    }
  }

  async #runSegment(at: number, segment: SegmentProgram): Promise<void> {
    const sessions = segment.sessions.map((program, index) => this.#prepare(segment, { program, at, index }));
    for (const step of segment.steps) {
      const session = sessions[step.session];
      if (session === undefined)
        throw new RangeError(`Cannot run session ${step.session} of segment ${at}: not loaded`);
      await this.#runStep(session, step);
      this.#stepsDone += 1;
      this.#options.onStep(this.#stepsDone, this.#steps);
      await setImmediate();
    }
    for (const { buffers, stream } of sessions) {
      for (const buffer of buffers) if (buffer !== undefined) release(buffer);
      stream.release();
    }
    for (const map of segment.frees) this.#free(map);
  }

  /** A session with all that stands while its segment runs: output maps, buffers, rows carried. */
  #prepare(segment: SegmentProgram, { program, at, index }: SessionPlace): RunningSession {
    const session = this.#sessions[at]?.[index];
    if (session === undefined)
      throw new RangeError(`Cannot run session ${index} of segment ${at}: not loaded`);
    for (const { map } of program.fetches) {
      const spec = this.#program.maps[map];
      if (spec?.preallocated === true) this.#maps[map] = TensorMap.ofSpec(spec);
    }
    const steps = segment.steps.filter((step) => step.session === index);
    const buffers = program.feeds.map((feed, feedAt) =>
      tileBuffer(this.#program, { steps, feed, at: feedAt }),
    );
    return {
      program,
      session,
      buffers,
      stream: new StreamState(program.carries[0] ?? [], session),
      carries: 0,
    };
  }

  /** Tiles of one shape carry in the same buffers; those of the shape before are released first. */
  #beginStream(running: RunningSession, { carries }: Step): void {
    if (running.carries === carries) {
      running.stream.restart();
      return;
    }
    running.stream.release();
    running.stream = new StreamState(running.program.carries[carries] ?? [], running.session);
    running.carries = carries;
  }

  async #runStep(running: RunningSession, step: Step): Promise<void> {
    if (step.phase === 'first') this.#beginStream(running, step);
    const { program, session, buffers, stream } = running;
    const feeds = program.feeds.map(({ name, map }, index) => {
      const region = step.reads[index] ?? null;
      const buffer = buffers[index];
      const isTile = region !== null && buffer !== undefined;
      return [name, isTile ? this.#readTile(map, { region, buffer }) : this.#tensorOf(map)] as const;
    });
    const carried = step.phase === null ? [] : stream.feeds(step.phase);
    const wanted = program.fetches.map(({ name }) => name);
    const names = step.phase === null ? wanted : [...wanted, ...stream.nextNames(step.phase)];
    const results = await session.run(Object.fromEntries([...feeds, ...carried]), names);
    for (const [index, [, tensor]] of feeds.entries())
      if (this.#isConverted(program.feeds[index], buffers[index])) release(tensor.data);
    for (const [index, { name, map }] of program.fetches.entries()) {
      this.#store({ map, tensor: results[name] as TensorData, write: step.writes[index] ?? null });
    }
    if (step.phase !== null) stream.keep(results);
  }

  /** The image was made a tensor for this step alone. */
  #isConverted(feed: MapBinding | undefined, buffer: TypedArray | undefined): boolean {
    return buffer === undefined && this.#maps[feed?.map ?? -1] instanceof ImageMap;
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
    if (write === null) {
      this.#maps[map] = new TensorMap(tensor);
      return;
    }
    if (write !== 'skip') {
      const target = this.#maps[map];
      if (!(target instanceof TensorMap)) throw new RangeError(`Cannot write map ${map}: it isn't allocated`);
      target.write(tensor, write);
    }
    release(tensor.data);
  }

  #tensorOf(map: number): TensorData {
    const source = this.#maps[map];
    if (source instanceof ImageMap) return source.toTensor();
    if (source === undefined) throw new RangeError(`Cannot read map ${map}: it isn't there`);
    return source.tensor;
  }

  /** Lets a map go that nothing reads any more. */
  #free(map: number): void {
    if (map !== 0 || !this.#isBorrowed) this.#maps[map]?.release();
    this.#maps[map] = undefined;
  }
}

/** What was optimised may have been removed since it was found; nothing but memory is lost without it. */
async function createSession(
  { model, optimized }: SessionProgram,
  { program, repeats }: { readonly program: Program; readonly repeats: boolean },
): Promise<Session> {
  const { settings, folder } = program;
  const options = { ...settings, folder, onePiece: repeats && settings.malloc === 'trimmed' };
  if (optimized === undefined) return Session.create(model, options);
  const asItIs = { ...options, folder: optimized.folder, level: 'disabled' } as const;
  return Session.create(optimized.model, asItIs).catch(() => Session.create(model, options));
}

interface SessionPlace {
  readonly program: SessionProgram;
  /** Segment, and place in it. */
  readonly at: number;
  readonly index: number;
}

interface RunningSession {
  readonly program: SessionProgram;
  readonly session: Session;
  /** One for each feed that is read part by part, as large as its largest part. */
  readonly buffers: readonly (TypedArray | undefined)[];
  /** What the stream that runs carries, and which of the program's carries that is. */
  stream: StreamState;
  carries: number;
}

/** Tiles are cut from the two last axes, which are no space in an NHWC image: that one is converted whole. */
function imageMap(image: DecodedImage, input: ImageInput): TensorMap | ImageMap {
  const map = new ImageMap(image, input);
  if (input.layout === 'nchw') return map;
  const converted = new TensorMap(map.toTensor());
  map.release();
  return converted;
}

interface Stored {
  readonly map: number;
  readonly tensor: TensorData;
  readonly write: Step['writes'][number];
}

interface BufferNeed {
  readonly steps: readonly Step[];
  readonly feed: MapBinding;
  readonly at: number;
}

function tileBuffer(program: Program, { steps, feed, at }: BufferNeed): TypedArray | undefined {
  const spec = program.maps[feed.map];
  const pixels = Math.max(0, ...steps.map(({ reads }) => areaOf(reads[at] ?? null)));
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
