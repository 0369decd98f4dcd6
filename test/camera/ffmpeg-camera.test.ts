/** The kind `ffmpeg`, with the real ffmpeg. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { oomScoreOf } from '../../agent/board/disposable-child.js';
import type { FrameInput } from '../../agent/camera/ffmpeg-command.js';
import type { ImageSource } from '../../agent/engine/wire/protocol.js';
import { DARKNET_MARGIN, marginOf, shownSize } from '../../agent/engine/wire/shown-size.js';
import { temporaryFolder } from '../fixtures.js';
import { freePort } from '../serve/brokers.js';
import { until } from '../start-agent.js';
import { isAlive, probeCamera, skipWithoutFfmpeg } from './camera-probe.js';
import { startMjpegServer, startRtspServer, startTcpServer } from './camera-sources.js';

const skip = skipWithoutFfmpeg;
const SECRET = 's3cretWord';

test('CommandCamera gives frames at the size of the network, placed as other images are', {
  skip,
}, async (context) => {
  const margin = { grey: 0, place: 'top-left' } as const;
  for (const [width, height, resize, own] of [
    [320, 200, 'letterbox'],
    [50, 210, 'letterbox'],
    [97, 63, 'letterbox'],
    [1000, 10, 'letterbox'],
    [320, 200, 'stretch'],
    [50, 210, 'letterbox', margin],
  ] as const) {
    const input = { width: 96, height: 64, resize, margin: own };
    const url = `lavfi:color=white:size=${width}x${height}:rate=30,format=rgb24`;
    const { frames, camera } = probeCamera(context, { kind: 'ffmpeg', url }, { input });
    await until(() => frames.length > 0);
    await camera.stop();
    const [frame] = frames;
    assert.ok(frame?.kind === 'pixels');
    assert.deepEqual(frame.fittedFrom, { width, height, resize, margin: own });
    assert.deepEqual(
      whiteAreaOf(frame, input),
      areaOf({ width, height }, input),
      `${width}x${height} ${resize}`,
    );
  }
});

test('CommandCamera gives the middle part of the source where the network takes a crop', {
  skip,
}, async (context) => {
  const input = { width: 96, height: 48, resize: 'crop' } as const;
  // Black but for the middle, which has the network's shape.
  const url = 'lavfi:color=black:size=400x100:rate=30,drawbox=100:0:200:100:white:fill,format=rgb24';
  const { frames, camera } = probeCamera(context, { kind: 'ffmpeg', url }, { input });
  await until(() => frames.length > 0);
  await camera.stop();
  const [frame] = frames;
  assert.ok(frame?.kind === 'pixels');
  assert.deepEqual(frame.fittedFrom, { width: 200, height: 100, resize: 'stretch', margin: undefined });
  assert.ok(frame.bytes.every((byte) => byte > 200));
});

test('CommandCamera reads a video file over and over', { skip }, async (context) => {
  const url = join(temporaryFolder(context), 'film.avi');
  const source = ['-f', 'lavfi', '-i', 'testsrc=size=160x120:rate=10:duration=0.5'];
  assert.equal(spawnSync('ffmpeg', ['-v', 'error', ...source, url]).status, 0);
  const { frames, losses, states } = probeCamera(context, { kind: 'ffmpeg', url });
  await until(() => frames.length > 8);
  assert.deepEqual([losses, states], [[], ['starting', 'running']]);
});

test('CommandCamera leaves out frames that come faster than its rate, and repeats none', {
  skip,
}, async (context) => {
  const seen = new Set<string>();
  let count = 0;
  const keep = (frame: ImageSource) => {
    count += 1;
    if (frame.kind === 'pixels') seen.add(Buffer.from(frame.bytes).toString('base64'));
  };
  const url = 'lavfi:testsrc2=size=96x64:rate=50:duration=2';
  const { losses } = probeCamera(
    context,
    { kind: 'ffmpeg', url, fps: 5 },
    { onFrame: keep, pausesMs: [1e6] },
  );
  await until(() => losses.length > 0);
  assert.deepEqual([count, seen.size], [10, 10]);
});

test('CommandCamera reads MJPEG over HTTP, survives broken images and other sizes, and comes back after the server', {
  skip,
}, async (context) => {
  const port = await freePort();
  const server = await startMjpegServer(context, port);
  const url = `http://me:${SECRET}@127.0.0.1:${port}/${SECRET}`;
  const { frames, losses, states, broken, camera } = probeCamera(context, { kind: 'ffmpeg', url });
  await until(() => frames.length > 20);
  server.send({ isBroken: true });
  await until(() => broken.length > 0);
  server.send({ isEmpty: true });
  server.send({ width: 64 });
  const narrow = () => frames.filter((frame) => frame.kind === 'pixels' && frame.fittedFrom?.width === 64);
  // Frames of the new size come at once, and all of them have the network's size.
  await until(() => narrow().length > 20);
  assert.deepEqual(
    new Set(narrow().map((frame) => frame.kind === 'pixels' && frame.bytes.length)),
    new Set([96 * 64 * 3]),
  );
  assert.deepEqual([losses, broken.length, camera.brokenCount], [[], 1, 1]);
  await server.stop();
  await until(() => losses.length > 1);
  const count = frames.length;
  await startMjpegServer(context, port);
  await until(() => frames.length > count);
  assert.deepEqual(states.slice(0, 4), ['starting', 'running', 'waiting', 'starting']);
  assert.equal(states.at(-1), 'running');
  assert.match(losses[1]?.reason ?? '', /Connection refused/);
  for (const { reason } of losses) assert.ok(!reason.includes(SECRET), reason);
});

test('CommandCamera ends ffmpeg when its source says nothing any more', { skip }, async (context) => {
  const port = await freePort();
  const server = await startMjpegServer(context, port);
  const keys = { kind: 'ffmpeg', url: `http://127.0.0.1:${port}/`, stallTimeout: 0.5 };
  const { camera, frames, losses } = probeCamera(context, keys, { pausesMs: [1e6] });
  await until(() => frames.length > 0);
  const pid = camera.pid ?? 0;
  server.pause();
  await until(() => losses.length > 0);
  assert.match(losses[0]?.reason ?? '', /^no frame for 0.5 s/);
  assert.equal(isAlive(pid), false);
});

test('CommandCamera gives up on a source that gives no first frame', { skip }, async (context) => {
  const port = await freePort();
  const server = await startMjpegServer(context, port);
  server.pause();
  const keys = { kind: 'ffmpeg', url: `http://127.0.0.1:${port}/`, firstFrameTimeout: 0.5 };
  const { losses, states } = probeCamera(context, keys, { pausesMs: [1e6] });
  await until(() => losses.length > 0);
  assert.match(losses[0]?.reason ?? '', /^no frame within 0.5 s/);
  assert.deepEqual(states, ['starting', 'waiting']);
});

for (const [name, startServer, urlOf] of [
  ['a stream over TCP', startTcpServer, (port: number) => `tcp://127.0.0.1:${port}`],
  ['RTSP', startRtspServer, (port: number) => `rtsp://me:${SECRET}@127.0.0.1:${port}/${SECRET}`],
] as const)
  test(`CommandCamera reads ${name}, and comes back after the server`, { skip }, async (context) => {
    const port = await freePort();
    const server = await startServer(context, port);
    const { frames, losses } = probeCamera(context, { kind: 'ffmpeg', url: urlOf(port) });
    await until(() => frames.length > 2);
    await server.stop();
    await until(() => losses.length > 1);
    const count = frames.length;
    await startServer(context, port);
    await until(() => frames.length > count);
    for (const { reason } of losses) assert.ok(!reason.includes(SECRET), reason);
  });

test('CommandCamera says what is wrong with options, sources and commands', { skip }, async (context) => {
  const folder = temporaryFolder(context);
  const urlFile = join(folder, 'door.url');
  writeFileSync(urlFile, `ftp://me:${SECRET}@host/\n`);
  const file = join(folder, 'text.mp4');
  writeFileSync(file, 'no video');
  const url = 'lavfi:testsrc=size=96x64:rate=10';
  const cases = [
    [{ url, inputOptions: ['-nonsense', '1'] }, /it ended with code 1: .*Unrecognized option 'nonsense'/],
    [{ url: 'lavfi:nonsense' }, /No such filter: 'nonsense'/],
    [{ url: file }, /Invalid data found/],
    [{ url: join(folder, 'absent.mp4') }, /No such file/],
    [{ url: '/dev/video987' }, /No such file/],
    [{ urlFile }, /Cannot use the URL of urlFile: expected a path/],
    [{ urlFile: join(folder, 'absent.url') }, /Cannot read .*absent.url: no such file/],
    [
      { url, command: 'no-such-ffmpeg' },
      /Cannot find a command: no-such-ffmpeg; install it, or name another/,
    ],
  ] as const;
  for (const [keys, expected] of cases) {
    const { camera, losses, states } = probeCamera(context, { kind: 'ffmpeg', ...keys }, { pausesMs: [1e6] });
    await until(() => losses.length > 0);
    assert.match(losses[0]?.reason ?? '', expected);
    assert.ok(!losses[0]?.reason.includes(SECRET));
    assert.deepEqual(states, ['starting', 'waiting']);
    assert.equal(camera.status.reason, losses[0]?.reason);
    await camera.stop();
  }
});

test('CommandCamera reads the URL of a file anew at each start', { skip }, async (context) => {
  const urlFile = join(temporaryFolder(context), 'door.url');
  writeFileSync(urlFile, 'lavfi:nonsense\n');
  const { frames, losses } = probeCamera(context, { kind: 'ffmpeg', urlFile });
  await until(() => losses.length > 0);
  writeFileSync(urlFile, 'lavfi:testsrc=size=96x64:rate=10\n');
  await until(() => frames.length > 0);
});

test('CommandCamera waits while its model is not served', { skip }, async (context) => {
  const { camera, losses } = probeCamera(
    context,
    { kind: 'ffmpeg', url: 'lavfi:testsrc' },
    { pausesMs: [1e6], input: null },
  );
  await until(() => losses.length > 0);
  assert.equal(camera.status.reason, 'Cannot fit frames: model "m" isn\'t served');
});

test('CommandCamera.stop() ends a hung ffmpeg by force, which dies before the agent when memory is short', {
  skip,
}, async (context) => {
  const { camera, frames } = probeCamera(context, {
    kind: 'ffmpeg',
    url: 'lavfi:testsrc=size=96x64:rate=10',
  });
  await until(() => frames.length > 0);
  const pid = camera.pid ?? 0;
  assert.equal(Number(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8')), oomScoreOf('camera'));
  process.kill(pid, 'SIGSTOP');
  await camera.stop();
  assert.equal(isAlive(pid), false);
  const count = frames.length;
  await camera.stop();
  assert.equal(frames.length, count);
});

test('CommandCamera uses the same buffers for all frames', { skip }, async (context) => {
  const buffers = new Set<ArrayBufferLike>();
  let count = 0;
  const onFrame = (frame: ImageSource) => {
    count += 1;
    if (frame.kind === 'pixels') buffers.add(frame.bytes.buffer);
  };
  const input = { width: 608, height: 608, resize: 'stretch' } as const;
  const keys = { kind: 'ffmpeg', url: 'lavfi:testsrc=size=320x240:rate=100', fps: 100 };
  probeCamera(context, keys, { input, onFrame });
  await until(() => count > 20);
  const before = process.memoryUsage().arrayBuffers;
  await until(() => count > 120);
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.ok(buffers.size <= 3, `${buffers.size} buffers`);
  assert.ok(grown < 2 * 608 * 608 * 3, `${grown} bytes more after 100 frames of ${608 * 608 * 3}`);
});

type Pixels = Extract<ImageSource, { kind: 'pixels' }>;

interface Area {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

function areaOf(given: { width: number; height: number }, input: FrameInput): Area {
  const shown = shownSize(given, input);
  return { ...marginOf(shown, input), ...shown };
}

/** Where a frame is white. The rest must be margins. */
function whiteAreaOf({ bytes, width }: Pixels, input: FrameInput): Area {
  assert.equal(bytes.length, input.width * input.height * 3);
  const at = [...Array(input.width * input.height).keys()].filter((pixel) => (bytes[pixel * 3] ?? 0) > 200);
  const rest = bytes.length / 3 - at.length;
  const { grey } = input.margin ?? DARKNET_MARGIN;
  assert.equal(bytes.filter((byte) => byte === grey).length, 3 * rest);
  const columns = at.map((pixel) => pixel % width);
  const rows = at.map((pixel) => Math.floor(pixel / width));
  const [left, top] = [Math.min(...columns), Math.min(...rows)];
  return { left, top, width: Math.max(...columns) - left + 1, height: Math.max(...rows) - top + 1 };
}
