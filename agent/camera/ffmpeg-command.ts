/**
 * Pictures that ffmpeg reads, as raw frames of the network's own size.
 *
 * ffmpeg drops the frames that aren't wanted, and scales the others to where `shownSize` shows an image, with margins
 * around it. So a frame always has the same number of bytes, whatever the source's size is and becomes. Boxes are moved
 * back to the source's pixels by its own size, which ffmpeg's filter `scale` tells in a line of its log: for each size
 * once, and before the first frame of it. Frames are dropped, never repeated, and no clock is needed for it.
 */
import { readFile } from 'node:fs/promises';
import type { FfmpegConfig } from '../config/camera-schema.js';
import type { CameraSource } from '../config/camera-source.js';
import { CAMERA_SOURCE_RULE, parseCameraSource } from '../config/camera-source.js';
import { redact, secretsOf } from '../config/redact.js';
import type { ImageInput } from '../engine/wire/protocol.js';
import { DARKNET_MARGIN } from '../engine/wire/shown-size.js';
import type { OnFrame } from './camera.js';
import type { CommandPlan } from './command-process.js';
import { findCommand } from './find-command.js';
import type { FramePool } from './frame-pool.js';
import { RawFrames } from './raw-frames.js';

/** What of a network's input a frame must fit. */
export type FrameInput = Pick<ImageInput, 'width' | 'height' | 'resize' | 'margin'>;

export interface FfmpegOptions {
  readonly config: FfmpegConfig;
  readonly input: FrameInput;
  readonly pool: FramePool;
  readonly onFrame: OnFrame;
  /** Called for each picture that ffmpeg can't decode, with what it says of it. */
  readonly onBroken: (reason: string) => void;
}

/** @throws {RangeError | SyntaxError} saying why ffmpeg can't be started now. */
export async function planFfmpeg({
  config,
  input,
  pool,
  onFrame,
  onBroken,
}: FfmpegOptions): Promise<CommandPlan> {
  const { name, inputOptions } = config;
  const url = config.url ?? (await readUrl(config.urlFile ?? ''));
  const source = parseCameraSource(url);
  if (source === undefined)
    throw new SyntaxError(`Cannot use the URL of urlFile: expected ${CAMERA_SOURCE_RULE}`);
  const { width, height, margin } = input;
  // A crop is all that is seen of the source.
  const resize = input.resize === 'crop' ? 'stretch' : input.resize;
  const log = new FfmpegLog(secretsOf(url, inputOptions), onBroken);
  const frames = new RawFrames({
    frameBytes: width * height * 3,
    pool,
    onFrame: (bytes, release) =>
      afterOtherOutput(() => {
        const { sourceSize } = log;
        if (sourceSize === undefined) release();
        else
          onFrame(
            { kind: 'pixels', name, width, height, fittedFrom: { ...sourceSize, resize, margin }, bytes },
            release,
          );
      }),
  });
  return {
    file: await findCommand([config.command]),
    args: ffmpegArguments(source, { fps: config.fps, input, inputOptions }),
    onBytes: (bytes) => frames.take(bytes),
    readLine: (line) => log.read(line),
    onEnd: () => frames.end(),
  };
}

/** Source as the first line of a file. @throws {RangeError} if it can't be read. */
async function readUrl(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new RangeError(`Cannot read ${file}: ${error.code === 'ENOENT' ? 'no such file' : error.code}`);
  });
  return (text.split('\n', 1)[0] ?? '').trim();
}

/** What ffmpeg wrote to its log before a frame has been read when this calls back: pipes are polled in between. */
function afterOtherOutput(callback: () => void): void {
  setImmediate(() => setImmediate(callback));
}

/** What ffmpeg says of a picture that it can't decode: before version 6.1, since then, and of a damaged one. */
const BROKEN = /Error while decoding|Error submitting .*to decoder|corrupt decoded frame/;

/** What ffmpeg says of frames that are as they should be, at some sources of each. */
const NOISE = /deprecated pixel format used|Changing video frame properties on the fly/;

/** Reads ffmpeg's log, whose lines carry their level: `[scale @ 0x5581] [verbose] text`. */
class FfmpegLog {
  readonly #secrets: readonly string[];
  readonly #onBroken: (reason: string) => void;
  #sourceSize: { readonly width: number; readonly height: number } | undefined;

  constructor(secrets: readonly string[], onBroken: (reason: string) => void) {
    this.#secrets = secrets;
    this.#onBroken = onBroken;
  }

  /** Size of the source's pictures, turned upright; undefined before the first. */
  get sourceSize() {
    return this.#sourceSize;
  }

  /** @returns a warning or an error as it may be shown. */
  read(line: string): string | undefined {
    const [, width, height] = /^\[Parsed_scale_.* w:(\d+) h:(\d+) .*-> w:\d+ h:\d+/.exec(line) ?? [];
    if (width !== undefined) this.#sourceSize = { width: Number(width), height: Number(height) };
    if (!/\[(warning|error|fatal|panic)\] /.test(line) || NOISE.test(line)) return undefined;
    const plain = line.replace(/ @ 0x[\da-f]+\]/g, ']').replace(/\[(warning|error|fatal|panic)\] /, '');
    const shown = redact(plain, this.#secrets);
    if (BROKEN.test(line)) this.#onBroken(shown);
    return shown;
  }
}

export interface ArgumentOptions {
  readonly fps: number;
  readonly input: FrameInput;
  readonly inputOptions: readonly string[];
}

/** ffmpeg's arguments. They work from version 4.2 on. */
export function ffmpegArguments(
  source: CameraSource,
  { fps, input, inputOptions }: ArgumentOptions,
): readonly string[] {
  return [
    // The size of the source is told at this level.
    ...['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'level+verbose'],
    // Each thread of a decoder holds frames of its own.
    ...['-threads', '1'],
    ...sourceOptions(source),
    ...inputOptions,
    // Filters made anew at another size would number frames from 0, and ffmpeg would drop all until the old number.
    ...['-reinit_filter', '0', '-i', locationOf(source)],
    ...['-map', '0:v:0', '-vf', filtersFor(input, fps), '-r', String(fps)],
    ...['-c:v', 'rawvideo', '-pix_fmt', 'rgb24', '-f', 'rawvideo', 'pipe:1'],
  ];
}

/**
 * A JPEG image that is cut short is left out instead of filled up. Only for sources that give such images: decoders of
 * other formats would refuse whole streams of cameras that don't keep to the letter.
 */
const SKIP_BROKEN = ['-err_detect', 'explode'] as const;

function sourceOptions(source: CameraSource): readonly string[] {
  switch (source.kind) {
    case 'device':
      return ['-f', 'v4l2', ...SKIP_BROKEN];
    case 'lavfi':
      return ['-re', '-f', 'lavfi'];
    case 'file':
      return ['-protocol_whitelist', 'file', '-re', '-stream_loop', '-1'];
    case 'url': {
      const tcp = source.protocols.includes('rtsp') ? ['-rtsp_transport', 'tcp'] : [];
      const skip = source.protocols.includes('http') ? SKIP_BROKEN : [];
      return ['-protocol_whitelist', source.protocols.join(','), ...tcp, ...skip];
    }
  }
}

function locationOf(source: CameraSource): string {
  switch (source.kind) {
    case 'device':
      return source.path;
    case 'lavfi':
      return source.graph;
    case 'file':
      return `file:${source.path}`;
    case 'url':
      return source.url;
  }
}

/** Unit of the coarsest clock of a source's times. */
const CLOCK_S = 0.001;

function filtersFor(input: FrameInput, fps: number): string {
  return [...rateFilters(fps), ...fitFilters(input)].join(',');
}

/**
 * A frame is taken if it is the first of its interval, or if a whole one has passed. Times may be absent or jump back.
 * Frames are then numbered at the rate that ffmpeg writes them at, so that it neither repeats nor drops any.
 */
function rateFilters(fps: number): readonly string[] {
  const isNext = `gt(floor(t*${fps}),floor(prev_selected_t*${fps}))`;
  const isDue = `gte(t-prev_selected_t,${1 / fps - CLOCK_S})`;
  const isLost = 'isnan(prev_selected_t)+isnan(t)+lt(t,prev_selected_t)';
  return [`select='${isLost}+${isNext}+${isDue}'`, 'settb=1/90000', `setpts=N/${fps}/TB`];
}

/** Shows a picture as `seenPart`, `shownSize` and `marginOf` do, by the same arithmetic. */
function fitFilters({ width, height, resize, margin = DARKNET_MARGIN }: FrameInput): readonly string[] {
  const scaled = [`scale=${width}:${height}`, 'format=rgb24'];
  if (resize === 'stretch') return scaled;
  const cropped = (full: string, fitting: string) => `min(${full},max(2,round(${fitting})))`;
  if (resize === 'crop')
    return [
      `crop=w='${cropped('iw', `ih*${width}/${height}`)}':h='${cropped('ih', `iw*${height}/${width}`)}'`,
      ...scaled,
    ];
  const scale = `min(${width}/iw,${height}/ih)`;
  const shown = (full: number, length: string) => `min(${full},max(2,floor(${length}*${scale})))`;
  const place = margin.place === 'centre' ? 'floor((ow-iw)/2):floor((oh-ih)/2)' : '0:0';
  const grey = margin.grey.toString(16).padStart(2, '0');
  return [
    `scale=w='${shown(width, 'iw')}':h='${shown(height, 'ih')}':eval=frame`,
    'format=rgb24',
    `pad=${width}:${height}:${place}:0x${grey.repeat(3)}:eval=frame`,
  ];
}
