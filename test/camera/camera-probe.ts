/** A camera of a real command, watched by a test. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { CommandCamera } from '../../agent/camera/command-camera.js';
import type { CameraLoss } from '../../agent/camera/command-supervisor.js';
import type { FrameInput } from '../../agent/camera/ffmpeg-command.js';
import { cameraSchema } from '../../agent/config/camera-schema.js';
import type { ImageSource } from '../../agent/engine/wire/protocol.js';
import { drawnImage, temporaryFolder } from '../fixtures.js';

/** For `test(name, { skip }, ...)`. */
export const skipWithoutFfmpeg: string | false =
  spawnSync('ffmpeg', ['-version']).status === 0 ? false : 'ffmpeg is not installed';

const INPUT: FrameInput = { width: 96, height: 64, resize: 'letterbox' };

/** Frames that are kept; a test looks at few. */
const MAX_KEPT = 200;

export interface ProbeOptions {
  /** Null for a model that isn't served. */
  readonly input?: FrameInput | null;
  readonly pausesMs?: readonly number[];
  /** Called with each frame, instead of keeping a copy of it. */
  readonly onFrame?: (frame: ImageSource) => void;
}

/**
 * Starts a camera; stopped with the test. Frames are copied and released at once.
 * @param keys of the configuration, without name and model.
 */
export function probeCamera(
  context: TestContext,
  keys: Readonly<Record<string, unknown>>,
  { input = INPUT, pausesMs = [50], onFrame }: ProbeOptions = {},
) {
  const checked = cameraSchema({ name: 'probe', model: 'm', fps: 30, ...keys });
  if (!checked.isValid || checked.value.kind === 'synthetic' || checked.value.kind === 'file')
    throw new TypeError(`Cannot probe a camera: ${JSON.stringify(checked)}`);
  const frames: ImageSource[] = [];
  const losses: CameraLoss[] = [];
  const states: string[] = [];
  const broken: string[] = [];
  const camera = new CommandCamera(checked.value, {
    input: () => input ?? undefined,
    onStatus: ({ state }) => states.push(state),
    onLost: (loss) => losses.push(loss),
    onBroken: (reason) => broken.push(reason),
    pausesMs,
  });
  camera.start((frame, release) => {
    if (onFrame !== undefined) onFrame(frame);
    else if (frames.length < MAX_KEPT)
      frames.push(frame.kind === 'file' ? frame : { ...frame, bytes: frame.bytes.slice() });
    release?.();
  });
  context.after(() => camera.stop());
  return { camera, frames, losses, states, broken };
}

export function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

/** A script of the shell, which runs in a folder with `image.jpg`. */
export async function writeCommand(context: TestContext, script: string): Promise<string> {
  const folder = temporaryFolder(context);
  const command = join(folder, 'camera-command');
  writeFileSync(join(folder, 'image.jpg'), await drawnImage(0, 'jpeg'));
  writeFileSync(command, `#!/bin/sh\ncd "\${0%/*}"\n${script}\n`);
  chmodSync(command, 0o755);
  return command;
}
