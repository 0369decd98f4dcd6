/** The kind `libcamera`, with a command that writes what rpicam-vid would: JPEG images, one after the other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { findCommand } from '../../agent/camera/find-command.js';
import { until } from '../start-agent.js';
import { isAlive, probeCamera, writeCommand } from './camera-probe.js';

test('CommandCamera gives the JPEG images of libcamera, and leaves out what is more than its rate', async (context) => {
  const command = await writeCommand(context, 'while cat image.jpg; do sleep 0.02; done');
  const { frames, camera } = probeCamera(context, { kind: 'libcamera', command, fps: 100 });
  await until(() => frames.length > 2);
  const [frame] = frames;
  assert.ok(frame?.kind === 'bytes');
  assert.equal((await sharp(frame.bytes).metadata()).format, 'jpeg');
  const pid = camera.pid ?? 0;
  assert.ok(isAlive(pid));
  await camera.stop();
  assert.equal(isAlive(pid), false);
});

test('CommandCamera gives libcamera its arguments, and says why it ended', async (context) => {
  const command = await writeCommand(context, 'echo "$@" >&2; exit 3');
  const keys = { kind: 'libcamera', command, fps: 0.5, width: 320, options: ['--hflip'] };
  const { losses } = probeCamera(context, keys, { pausesMs: [1e6] });
  await until(() => losses.length > 0);
  const args = '--nopreview --timeout 0 --codec mjpeg --flush --width 320 --height 480';
  assert.equal(losses[0]?.reason, `it ended with code 3: ${args} --framerate 1 --hflip --output -`);
});

test('CommandCamera names both commands of libcamera when none is installed', async () => {
  await assert.rejects(findCommand(['rpicam-vid', 'libcamera-vid'], ''), {
    message: 'Cannot find a command: rpicam-vid or libcamera-vid; install it, or name another by "command"',
  });
});
