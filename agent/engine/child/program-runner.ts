/**
 * Runs a program, segment after segment and step after step. Each step reads tiles of the maps before it and
 * writes tiles of the maps after it. All decisions were made by `compile.ts`.
 *
 * Memory: the buffers and output maps of a segment stand while it runs and serve all its steps. A map stands
 * until its last reader has run. Outputs of a run are fresh V8 buffers and are copied to their maps. A buffer
 * is released as soon as it isn't needed: the collector would come late, and calling it costs a tenth of the
 * time.
 */
import { setImmediate } from 'node:timers/promises';
import { elementAt, present } from '../../../shared/graph/lookup.js';
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
import { allocate, release, valuesOf } from '../wire/typed-array.js';
import { ImageMap, TensorMap } from './map-store.js';
import type { TensorData } from './onnx-runtime.js';
import { Session } from './onnx-runtime.js';
import type { DecodedImage } from './read-image.js';
import { StreamState } from './stream-state.js';

export interface RunnerOptions {
  /** Called after each step. */
  readonly onStep: (step: number, steps: number) => void;
}

export interface NetworkOutput {
  readonly name: string;
  readonly tensor: TensorData;
}

export class ProgramRunner {
  readonly #program: Program;
  /** Sessions by segment. */
  readonly #sessions: readonly (readonly Session[])[];
  readonly #options: RunnerOptions;
  readonly #steps: number;
  /** Maps by number; undefined before they are made and after their last reader. */
  readonly #maps: (TensorMap | ImageMap | undefined)[];
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
          elementAt(sessions, at).push(await createSession(session, { program, repeats }));
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

  /** Outputs of the network for one image or input tensor, which is released when it has been read. */
  async run(input: DecodedImage | TensorData): Promise<readonly NetworkOutput[]> {
    this.#stepsDone = 0;
    this.#maps[0] = 'dtype' in input ? new TensorMap(input) : imageMap(input, this.#program.input);
    for (const { map, bytes } of this.#program.constants ?? []) {
      const { dtype, shape } = elementAt(this.#program.maps, map);
      this.#maps[map] = new TensorMap({ dtype, shape, data: valuesOf(dtype, bytes) });
    }
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
      await this.#runStep(elementAt(sessions, step.session), step);
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

  /** A session with its output maps, buffers and carried rows, which stand while its segment runs. */
  #prepare(segment: SegmentProgram, { program, at, index }: SessionPlace): RunningSession {
    const session = elementAt(elementAt(this.#sessions, at), index);
    for (const { map } of program.fetches) {
      const spec = elementAt(this.#program.maps, map);
      if (spec.preallocated) this.#maps[map] = TensorMap.ofSpec(spec);
    }
    const steps = segment.steps.filter((step) => step.session === index);
    const buffers = program.feeds.map((feed, feedAt) =>
      tileBuffer(this.#program, { steps, feed, at: feedAt }),
    );
    // Only streams carry rows.
    const stream = new StreamState(program.carries[0] ?? { carries: [], counts: [] }, session);
    return { program, session, buffers, stream, carries: 0 };
  }

  /** Begins a stream. Streams of one shape share buffers; those of another shape are released first. */
  #beginStream(running: RunningSession, { carries }: Step): void {
    if (running.carries === carries) {
      running.stream.restart();
      return;
    }
    running.stream.release();
    running.stream = new StreamState(elementAt(running.program.carries, carries), running.session);
    running.carries = carries;
  }

  async #runStep(running: RunningSession, step: Step): Promise<void> {
    if (step.phase === 'first') this.#beginStream(running, step);
    const { program, session, buffers, stream } = running;
    const feeds = program.feeds.map(({ name, map }, index) => {
      const region = elementAt(step.reads, index);
      const buffer = buffers[index];
      const isTile = region !== null && buffer !== undefined;
      return [name, isTile ? this.#readTile(map, { region, buffer }) : this.#tensorOf(map)] as const;
    });
    const carried = step.phase === null ? [] : stream.feeds(step.phase);
    const wanted = program.fetches.map(({ name }) => name);
    const names = step.phase === null ? wanted : [...wanted, ...stream.nextNames(step.phase)];
    const results = await session.run(Object.fromEntries([...feeds, ...carried]), names);
    for (const [index, { map }] of program.feeds.entries()) {
      // The image was made a tensor for this step alone.
      const isConverted = buffers[index] === undefined && this.#mapAt(map) instanceof ImageMap;
      if (isConverted) release(elementAt(feeds, index)[1].data);
    }
    for (const [index, { name, map }] of program.fetches.entries()) {
      const tensor = present(results[name], `output ${name}`);
      this.#store({ map, tensor, write: elementAt(step.writes, index) });
    }
    if (step.phase !== null) stream.keep(results);
  }

  #readTile(map: number, { region, buffer }: { region: Region; buffer: TypedArray }): TensorData {
    const source = this.#mapAt(map);
    const { dtype } = elementAt(this.#program.maps, map);
    const shape = [...source.shape.slice(0, 2), region.rowTo - region.rowFrom, region.colTo - region.colFrom];
    const length = shape.reduce((product, dim) => product * dim, 1);
    source.read(region, buffer);
    return { dtype, shape, data: buffer.subarray(0, length) as TypedArray };
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
    const source = this.#mapAt(map);
    return source instanceof ImageMap ? source.toTensor() : source.tensor;
  }

  #mapAt(map: number): TensorMap | ImageMap {
    return present(this.#maps[map], `map ${map}`);
  }

  /** Frees a map that nothing reads any more. */
  #free(map: number): void {
    this.#mapAt(map).release();
    this.#maps[map] = undefined;
  }
}

/**
 * A session of the optimised model. If its files were removed since it was found, the model itself takes its
 * place.
 */
async function createSession(
  { model, optimized }: SessionProgram,
  { program, repeats }: { readonly program: Program; readonly repeats: boolean },
): Promise<Session> {
  const { settings, folder } = program;
  const options = {
    ...settings,
    folder,
    isSegment: program.isImported,
    onePiece: repeats && settings.allocator === 'glibc',
  };
  if (optimized === undefined) return Session.create(model, options);
  const asItIs = { ...options, folder: optimized.folder, level: 'disabled' } as const;
  return Session.create(optimized.model, asItIs).catch(() => Session.create(model, options));
}

interface SessionPlace {
  readonly program: SessionProgram;
  /** Index of the segment. */
  readonly at: number;
  /** Index of the session in its segment. */
  readonly index: number;
}

interface RunningSession {
  readonly program: SessionProgram;
  readonly session: Session;
  /** A buffer of the largest part for each feed that is read part by part; undefined for the other feeds. */
  readonly buffers: readonly (TypedArray | undefined)[];
  /** Carried rows of the stream that runs. */
  stream: StreamState;
  /** Index of their shape among the program's carries. */
  carries: number;
}

/** The image as map 0. An NHWC image is converted whole, since tiles are cut from the two last axes. */
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
  /** Steps of the session. */
  readonly steps: readonly Step[];
  readonly feed: MapBinding;
  /** Index of the feed. */
  readonly at: number;
}

function tileBuffer(program: Program, { steps, feed, at }: BufferNeed): TypedArray | undefined {
  const { dtype, shape } = elementAt(program.maps, feed.map);
  const pixels = Math.max(0, ...steps.map(({ reads }) => areaOf(elementAt(reads, at))));
  return pixels === 0 ? undefined : allocate(dtype, pixels * elementAt(shape, 1));
}

function areaOf(region: Region | null): number {
  return region === null ? 0 : (region.rowTo - region.rowFrom) * (region.colTo - region.colFrom);
}

/** An output with its values, which share the tensor's memory. */
export function packOutput({ name, tensor: { dtype, shape, data } }: NetworkOutput): OutputTensor {
  return { name, dtype, shape, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}
