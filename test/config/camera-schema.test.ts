import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseCameraSource } from '../../agent/config/camera-source.js';
import { loadConfig, parseConfig } from '../../agent/config/load-config.js';
import { temporaryFolder } from '../fixtures.js';

const MODELS = 'models: [{name: m}]\n';

test('parseConfig() gives a camera of ffmpeg its defaults', () => {
  const { cameras } = parseConfig(
    `${MODELS}cameras: [{kind: ffmpeg, name: c, model: m, url: /dev/video0}]`,
    'a',
  );
  assert.deepEqual(cameras, [
    {
      ...{ kind: 'ffmpeg', name: 'c', model: 'm', fps: 1, enabled: true },
      ...{ url: '/dev/video0', urlFile: null, inputOptions: [], command: 'ffmpeg' },
      ...{ firstFrameTimeout: 15, stallTimeout: 10 },
      ...{ labels: null, zones: [], motion: false, snapshots: false },
      objects: { maxAge: 3, minHits: 2, iouThreshold: 0.3, updateInterval: 5 },
    },
  ]);
});

test('parseConfig() refuses cameras without one source, other protocols, and options for the input', () => {
  const cases = [
    ['{}', /cameras.0.url: is missing, expected .*; or urlFile/],
    ['{url: a.mp4, urlFile: b}', /cameras.0.urlFile: cannot be "b", expected url or urlFile, but not both/],
    [
      '{url: "ftp://host/a"}',
      /cameras.0.url: cannot be "ftp:\/\/host\/\*\*\*", expected a path, .* or a URL of http,/,
    ],
    ['{url: "concat:a|b"}', /cameras.0.url/],
    ['{url: "rtsp://a b"}', /cameras.0.url/],
    ['{url: ""}', /cameras.0.url/],
    ['{url: a.mp4, inputOptions: ["-i", "b"]}', /inputOptions.0: cannot be a value not shown here/],
    ['{url: a.mp4, inputOptions: ["-protocol_whitelist", "all"]}', /inputOptions.0/],
    ['{url: a.mp4, inputOptions: ["a\\0b"]}', /inputOptions.0/],
    ['{url: a.mp4, inputOptions: -re}', /cannot be a text, expected a list of at most 64 texts/],
    ['{url: a.mp4, enabled: 1}', /cameras.0.enabled: cannot be 1, expected true or false/],
    ['{url: a.mp4, stallTimeout: 0}', /stallTimeout/],
  ] as const;
  for (const [keys, expected] of cases) {
    const camera = `{kind: ffmpeg, name: c, model: m, ${keys.slice(1)}`;
    assert.throws(() => parseConfig(`${MODELS}cameras: [${camera}]`, 'a'), expected, keys);
  }
});

test('parseConfig() never shows the path, the login or the options of a camera', () => {
  const cases = [
    'url: "rtmp://host/53cr3t"',
    'url: "rtsp://me:53cr3t@ho st"',
    'url: [53cr3t]',
    'url: a, inputOptions: ["-i", "53cr3t\\0"]',
    'url: a, inputOptions: {53cr3t: 53cr3t}',
    'url: a, urlFile: "rtsp://me/53cr3t"',
  ];
  for (const keys of cases) {
    const text = `${MODELS}cameras: [{kind: ffmpeg, name: c, model: m, ${keys}}]`;
    assert.throws(
      () => parseConfig(text, 'a'),
      ({ message }: Error) => !message.includes('53cr3t'),
      keys,
    );
  }
});

test('loadConfig() resolves the paths of cameras from the folder of the file', async (context) => {
  const folder = temporaryFolder(context);
  const file = join(folder, 'agent.yaml');
  writeFileSync(
    file,
    `${MODELS}cameras:
- {kind: ffmpeg, name: a, model: m, url: film.mp4, command: bin/ffmpeg}
- {kind: ffmpeg, name: b, model: m, urlFile: door.url}
- {kind: ffmpeg, name: c, model: m, url: "rtsp://host/x"}
- {kind: libcamera, name: d, model: m, command: rpicam-vid}
`,
  );
  const [a, b, c, d] = (await loadConfig(file)).cameras;
  assert.ok(a?.kind === 'ffmpeg' && b?.kind === 'ffmpeg' && c?.kind === 'ffmpeg' && d?.kind === 'libcamera');
  assert.deepEqual([a.url, a.command], [join(folder, 'film.mp4'), join(folder, 'bin/ffmpeg')]);
  assert.deepEqual([b.url, b.urlFile, b.command], [null, join(folder, 'door.url'), 'ffmpeg']);
  assert.deepEqual([c.url, d.command], ['rtsp://host/x', 'rpicam-vid']);
});

test('parseCameraSource() tells devices, files, drawn pictures and URLs apart, each with few protocols', () => {
  assert.deepEqual(parseCameraSource('/dev/video0'), { kind: 'device', path: '/dev/video0' });
  assert.deepEqual(parseCameraSource('a/b.mp4'), { kind: 'file', path: 'a/b.mp4' });
  assert.deepEqual(parseCameraSource('lavfi:testsrc=a:b'), { kind: 'lavfi', graph: 'testsrc=a:b' });
  for (const url of ['http://a/b', 'https://a', 'tcp://a:1', 'udp://@1.2.3.4:5', 'RTSP://a/b', 'rtsps://a']) {
    const source = parseCameraSource(url);
    assert.ok(source?.kind === 'url', url);
    assert.ok(!source.protocols.includes('file'), url);
  }
});
