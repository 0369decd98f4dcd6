/** The keys of a camera, with their rules and defaults, by its kind. config/agent.yaml explains each key. */
import type { Checked, ValueOf } from '../../shared/rules/index.js';
import {
  choice,
  flag,
  invalid,
  list,
  map,
  matching,
  numberWithin,
  orDefault,
  placed,
  refine,
  text,
  valid,
  variant,
  wholeNumber,
} from '../../shared/rules/index.js';
import { MODEL_NAME, MODEL_NAME_RULE } from '../../shared/wire/index.js';
import { CAMERA_SOURCE_RULE, parseCameraSource } from './camera-source.js';
import { TOPIC_NAME, TOPIC_NAME_RULE } from './node-name.js';
import { viewRules } from './view-schema.js';

/** Options that would take the input from elsewhere, or let it use other protocols. */
const TAKEN_OPTIONS = ['-i', '-protocol_whitelist'];

const path = text('a path', (value) => value !== '' && !value.includes('\0'));
const size = wholeNumber(2, 8192);
const seconds = numberWithin(0.1, 3600);
const options = list(
  text(
    `a text of 1 to 1024 characters without control characters, other than ${TAKEN_OPTIONS.join(' and ')}`,
    isOption,
  ),
  { most: 64, expected: 'a list of at most 64 texts' },
);

function isOption(value: string): boolean {
  // Header lines of HTTP end in CRLF.
  const isPrintable = !/\p{Cc}/u.test(value.replace(/[\t\r\n]/g, ''));
  return value !== '' && value.length <= 1024 && isPrintable && !TAKEN_OPTIONS.includes(value);
}

const base = {
  name: matching(TOPIC_NAME, TOPIC_NAME_RULE),
  model: matching(MODEL_NAME, MODEL_NAME_RULE),
  /** Frames per second. */
  fps: orDefault(numberWithin(0.001, 120), 1),
  /** Whether it runs from the start on. */
  enabled: orDefault(flag(), true),
  ...viewRules,
};

/** Patience with a source, in seconds. */
const patience = {
  firstFrameTimeout: orDefault(seconds, 15),
  stallTimeout: orDefault(seconds, 10),
};

const ffmpegSchema = map({
  kind: choice(['ffmpeg']),
  ...base,
  url: orDefault(
    text(CAMERA_SOURCE_RULE, (value) => parseCameraSource(value) !== undefined),
    null,
  ),
  /** File with the URL as its one line. */
  urlFile: orDefault(path, null),
  inputOptions: orDefault(options, []),
  command: orDefault(path, 'ffmpeg'),
  ...patience,
});

/** A camera has one source, here or in a file. */
function checkSource(camera: ValueOf<typeof ffmpegSchema>): Checked<typeof camera> {
  const { url, urlFile } = camera;
  if ((url === null) !== (urlFile === null)) return valid(camera);
  if (url === null) return placed('url', invalid(undefined, `${CAMERA_SOURCE_RULE}; or urlFile`));
  return placed('urlFile', invalid(urlFile, 'url or urlFile, but not both'));
}

export const cameraSchema = variant('kind', {
  synthetic: map({
    kind: choice(['synthetic']),
    ...base,
    width: orDefault(size, 640),
    height: orDefault(size, 480),
  }),
  file: map({
    kind: choice(['file']),
    ...base,
    files: list(path, { least: 1, expected: 'a list of at least one path' }),
  }),
  ffmpeg: refine(ffmpegSchema, checkSource),
  libcamera: map({
    kind: choice(['libcamera']),
    ...base,
    width: orDefault(size, 640),
    height: orDefault(size, 480),
    options: orDefault(options, []),
    /** Null for rpicam-vid or libcamera-vid, whichever is found. */
    command: orDefault(path, null),
    ...patience,
  }),
});

export type CameraConfig = ValueOf<typeof cameraSchema>;
export type FfmpegConfig = Extract<CameraConfig, { kind: 'ffmpeg' }>;
export type LibcameraConfig = Extract<CameraConfig, { kind: 'libcamera' }>;

/** The camera with its paths resolved. A command without a slash is looked for in PATH. */
export function resolveCamera(camera: CameraConfig, from: (path: string) => string): CameraConfig {
  const fromCommand = (command: string) => (command.includes('/') ? from(command) : command);
  switch (camera.kind) {
    case 'synthetic':
      return camera;
    case 'file':
      return { ...camera, files: camera.files.map(from) };
    case 'libcamera':
      return { ...camera, command: camera.command === null ? null : fromCommand(camera.command) };
    case 'ffmpeg': {
      const { url, urlFile, command } = camera;
      const isFile = url !== null && parseCameraSource(url)?.kind === 'file';
      return {
        ...camera,
        url: isFile ? from(url) : url,
        urlFile: urlFile === null ? null : from(urlFile),
        command: fromCommand(command),
      };
    }
  }
}
