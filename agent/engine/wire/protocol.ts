/**
 * What the agent and its executor child say to each other, over Node's IPC channel with V8 serialisation, so
 * that models travel as raw bytes. The agent asks, one request at a time; the executor answers each with the same id.
 * Between steps it reports progress, which is also its sign of life.
 *
 * The bytes of inputs and outputs follow their message on a pipe of their own. A message is held as it was read in
 * parts, and once more joined, until the collector comes; from the pipe bytes go to their place.
 */
import type { DataType } from '../../../shared/graph/index.js';
import type { Level, RunSettings } from '../../../shared/predict/index.js';
import type { Phase } from '../../../shared/tile/index.js';

/** The margins around a letterboxed image. */
export interface Margin {
  /** Brightness, 0 to 255. */
  readonly grey: number;
  /** Where the image is: margins are on both sides of it, or only right of it and below. */
  readonly place: 'centre' | 'top-left';
}

/** How an image gets the input's size. */
export const RESIZES = ['stretch', 'letterbox', 'crop'] as const;
export type Resize = (typeof RESIZES)[number];

/** How an image becomes the network's input. */
export interface ImageInput {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  /** Grey, RGB, or RGB and alpha. */
  readonly channels: 1 | 3 | 4;
  readonly layout: 'nchw' | 'nhwc';
  readonly dtype: 'float32' | 'float16' | 'uint8';
  /** `stretch` ignores the aspect ratio; `letterbox` keeps it and fills up with margins; `crop` leaves out two borders. */
  readonly resize: Resize;
  /** Of a letterbox; by default Darknet's. */
  readonly margin?: Margin | undefined;
  readonly colorOrder: 'rgb' | 'bgr';
  /** Value = (byte * scale - mean) / std, mean and std by channel. */
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** A full map that crosses a cut; index 0 is the image. */
export interface MapSpec {
  readonly dtype: DataType;
  readonly shape: readonly number[];
  /** Written part by part, so its buffer stands before the segment's first step; else it is the output of one run. */
  readonly preallocated: boolean;
  /** Rows that are kept, of a map that passes from stream to stream; null for a whole map. */
  readonly ringRows: number | null;
}

/** Rows [rowFrom, rowTo) and columns [colFrom, colTo) of a map. */
export interface Region {
  readonly rowFrom: number;
  readonly rowTo: number;
  readonly colFrom: number;
  readonly colTo: number;
}

/** Copies `crop` of an output tile to the same-sized place of its map that starts at `row`, `col`. */
export interface TileWrite {
  readonly crop: Region;
  readonly row: number;
  readonly col: number;
}

/** One run of a session of a segment. By feed and by fetch; null means the whole map. */
export interface Step {
  /** Which of the segment's sessions. */
  readonly session: number;
  /** Of a stream: which rows are carried in, kept and used. */
  readonly phase: Phase | null;
  /** Which of the session's carries a stream uses; with its first step it begins anew. */
  readonly carries: number;
  readonly reads: readonly (Region | null)[];
  /** `skip` for a map that an earlier step wrote whole, or of which this one's tile owns nothing. */
  readonly writes: readonly (TileWrite | 'skip' | null)[];
}

export interface MapBinding {
  /** Name of the session's input or output. */
  readonly name: string;
  readonly map: number;
}

/** Rows that a stream keeps for one of its operands; inputs and outputs by name. */
export interface CarrySpec {
  readonly dtype: DataType;
  readonly channels: number;
  readonly cols: number;
  /** Value of padding rows. */
  readonly fill: number;
  /** Input: before the first step `top` rows of padding, later the `kept` rows of the step before. */
  readonly carry: { readonly name: string; readonly top: number; readonly kept: number } | null;
  /** Output: what is kept. */
  readonly next: string | null;
  /** Input: `bottom` rows of padding in the last step, none before. */
  readonly tail: { readonly name: string; readonly bottom: number } | null;
}

/** An input that is a number of rows: how many are used, or where those that are new begin or end. */
export interface CountSpec {
  readonly name: string;
  readonly rows: Readonly<Record<Phase, number>>;
}

/** What the steps of a stream take in and keep in addition to the rows of maps. */
export interface StreamSpec {
  readonly carries: readonly CarrySpec[];
  readonly counts: readonly CountSpec[];
}

/** A model that ONNX Runtime has optimised for this machine before, to be loaded as it is. */
export interface OptimizedModel {
  readonly model: Uint8Array;
  /** Folder of its external weights. */
  readonly folder: string;
}

export interface SessionProgram {
  /** ONNX bytes; external weights are files in the program's folder. */
  readonly model: Uint8Array;
  /** The same at the program's level, so that weights stay mapped; absent where there is none. */
  readonly optimized?: OptimizedModel;
  readonly feeds: readonly MapBinding[];
  readonly fetches: readonly MapBinding[];
  /** Of streams, by shape of what they carry: one, or one for each shape of streamed tile; else none. */
  readonly carries: readonly StreamSpec[];
}

export interface SegmentProgram {
  /** One, or one for each link of a stream. */
  readonly sessions: readonly SessionProgram[];
  readonly steps: readonly Step[];
  /** Maps that nothing reads after this segment. */
  readonly frees: readonly number[];
}

/** A plan made executable: everything the executor does is decided here. */
export interface Program {
  /** Whether its models are segments of an imported network. Else it is a file, run as it is. */
  readonly isImported: boolean;
  readonly folder: string;
  readonly settings: RunSettings;
  readonly input: ImageInput;
  readonly maps: readonly MapSpec[];
  readonly segments: readonly SegmentProgram[];
  readonly outputs: readonly MapBinding[];
  /** Maps that are the same in each run. */
  readonly constants?: readonly ConstantMap[];
}

export interface ConstantMap {
  readonly map: number;
  readonly bytes: Uint8Array;
}

/** Size of an image before it was fitted, and how it was. */
export interface FittedFrom extends Pick<ImageInput, 'resize' | 'margin'> {
  readonly width: number;
  readonly height: number;
}

/** A file the executor opens, encoded bytes, or pixels: RGB, row by row. */
export type ImageSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'bytes'; readonly name: string; readonly bytes: Uint8Array }
  | {
      readonly kind: 'pixels';
      readonly name: string;
      readonly width: number;
      readonly height: number;
      /** The image before it was fitted to the network's input, margins included. Absent for one of its own size. */
      readonly fittedFrom?: FittedFrom;
      readonly bytes: Uint8Array;
    };

/** The network's input itself, raw little-endian values of the shape the program says. */
export interface TensorSource {
  readonly kind: 'tensor';
  readonly dtype: DataType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export type Source = ImageSource | TensorSource;

export interface RunRequest {
  readonly kind: 'run';
  readonly image: Source;
  readonly outputs: 'values' | 'shapes';
}

/** A polygon or a box that is drawn into a picture, by relative coordinates: 0 to 1 from the left and from the top. */
export interface DrawnShape {
  readonly kind: 'box' | 'polygon';
  /** Corners in order. A box has its upper left and its lower right one. */
  readonly points: readonly { readonly x: number; readonly y: number }[];
  /** Written at the first point. */
  readonly text: string;
}

/** Bounds of a snapshot. */
export interface SnapshotLimits {
  /** Most columns. */
  readonly width: number;
  /** Of JPEG, 1 to 100. */
  readonly quality: number;
  /** Where the picture takes more, its quality is lower. */
  readonly maxBytes: number;
}

/** Draws shapes into a picture. */
export interface SnapshotRequest {
  readonly kind: 'snapshot';
  readonly image: ImageSource;
  readonly shapes: readonly DrawnShape[];
  readonly limits: SnapshotLimits;
}

export type Request =
  | { readonly kind: 'load'; readonly program: Program }
  /** Gives the memory of the loaded program back. */
  | { readonly kind: 'unload' }
  /** Asks for a sign of life. */
  | { readonly kind: 'ping' }
  | RunRequest
  | SnapshotRequest
  | InspectRequest
  | { readonly kind: 'evaluate'; readonly model: Uint8Array; readonly folder: string }
  | OptimizeRequest;

/** Asks for types and shapes of a model's outputs. */
export interface InspectRequest {
  readonly kind: 'inspect';
  readonly model: Uint8Array;
  readonly folder: string;
  /** Outputs whose rank ONNX Runtime may not know: it says that of a scalar then. */
  readonly unsure: readonly string[];
}

/** Files of an optimised model within its own folder. */
export const OPTIMIZED_MODEL = 'model.onnx';
export const OPTIMIZED_DATA = 'model.onnx.data';

/** Saves the model, optimised at a level, to the folder `into`. */
export interface OptimizeRequest {
  readonly kind: 'optimize';
  readonly model: Uint8Array;
  readonly folder: string;
  readonly level: Level;
  readonly into: string;
  /** Whether fusions of floats are left to the sessions of the segments into which the model will be cut. */
  readonly forCutting?: boolean;
}

export interface OutputTensor {
  readonly name: string;
  readonly dtype: DataType;
  readonly shape: readonly number[];
  /** Raw little-endian values; absent where only shapes were asked for. */
  readonly bytes?: Uint8Array;
}

/** A tensor of an inspected model; null where ONNX Runtime can't tell the shape, as for sequences. */
export interface InspectedTensor {
  readonly name: string;
  readonly dtype: DataType;
  readonly shape: readonly number[] | null;
}

export interface RunResult {
  /** Size of the image as given, before it was resized; of the network's input where that was given. */
  readonly image: { readonly width: number; readonly height: number };
  /** From the decoded image to the last output, without decoding. */
  readonly latencyMs: number;
  /** Before that: for the input to come, and to be decoded. */
  readonly readMs: number;
  readonly outputs: readonly OutputTensor[];
}

/** What each kind of request is answered with. */
export interface Answers {
  readonly load: null;
  readonly unload: null;
  readonly ping: null;
  readonly run: RunResult;
  /** A JPEG. */
  readonly snapshot: Uint8Array;
  readonly inspect: readonly InspectedTensor[];
  readonly evaluate: readonly OutputTensor[];
  readonly optimize: null;
}

/** Descriptor of the pipe in the executor. */
export const BYTES_FD = 4;

/** What a message says of something whose bytes follow on the pipe. */
export type Sent<T> = T extends { readonly bytes: Uint8Array }
  ? Omit<T, 'bytes'> & { readonly byteCount: number }
  : T;

/** Requests whose image's bytes follow on the pipe. */
export type ImageRequest = RunRequest | SnapshotRequest;

export interface SentRun extends Omit<RunRequest, 'image'> {
  readonly image: Sent<Source>;
}

export interface SentSnapshot extends Omit<SnapshotRequest, 'image'> {
  readonly image: Sent<ImageSource>;
}

/** A request, which is answered by its id. */
export interface AskMessage {
  readonly kind: 'ask';
  readonly id: number;
  readonly request: Exclude<Request, ImageRequest> | SentRun | SentSnapshot;
}

/** Without an answer: a run that is going on ends after its step, unloads its program and fails. */
export interface InterruptMessage {
  readonly kind: 'interrupt';
}

export type AgentMessage = AskMessage | InterruptMessage;

/** An output without its values, whose bytes follow on the pipe where they were asked for. */
export interface SentOutput extends Omit<OutputTensor, 'bytes'> {
  readonly byteCount: number;
}

/** Answer to `run`. The bytes of its outputs follow in their order. */
export interface RanMessage {
  readonly kind: 'ran';
  readonly id: number;
  readonly result: Omit<RunResult, 'outputs'>;
  readonly outputs: readonly SentOutput[];
}

type OtherAnswer = Answers[Exclude<keyof Answers, 'run'>];

export type ExecutorMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'progress'; readonly step: number; readonly steps: number }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: OtherAnswer }
  | RanMessage
  | { readonly kind: 'error'; readonly id: number; readonly name: string; readonly message: string };
