import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidArgumentError } from 'commander';
import {
  collect,
  parseBase,
  parseCount,
  parseLayers,
  parseLevel,
  parseMemory,
  parseModel,
  parseNode,
  parseRatio,
  parseSeed,
  parseServer,
  parseSize,
  parseThreads,
  parseWeights,
} from '../../agent/cli/parse-options.js';

test('parseMemory() counts K, M and G in powers of 1024', () => {
  const cases = [
    ['1', 1],
    ['50000000', 50_000_000],
    ['64K', 64 * 2 ** 10],
    ['64M', 64 * 2 ** 20],
    ['64m', 64 * 2 ** 20],
    ['64MB', 64 * 2 ** 20],
    ['64MiB', 64 * 2 ** 20],
    ['64 MB', 64 * 2 ** 20],
    [' 1.5G ', 1.5 * 2 ** 30],
    ['100B', 100],
  ] as const;
  for (const [text, bytes] of cases) assert.equal(parseMemory(text), bytes, text);
});

test('parseMemory() gives whole bytes', () => {
  assert.equal(parseMemory('0.3K'), 307);
});

test('parseMemory() refuses what is no size', () => {
  refuses(parseMemory, ['', 'M', '0', '0.5', '-1M', '1T', '1,5G', '1e6', '64MX', '9'.repeat(20)]);
});

test('parseSize() reads width, then height', () => {
  assert.deepEqual(parseSize('608x416'), { width: 608, height: 416 });
  assert.deepEqual(parseSize('65536x2'), { width: 65536, height: 2 });
});

test('parseSize() refuses what is no size of a network', () => {
  refuses(parseSize, [
    '',
    '608',
    '608x',
    'x416',
    '0x416',
    '608x0',
    '65537x1',
    '608X416',
    '608x416x3',
    '6.5x4',
  ]);
});

test('parseLayers() reads the first and the last layer', () => {
  assert.deepEqual(parseLayers('0-15'), { from: 0, to: 15 });
  assert.deepEqual(parseLayers('3-3'), { from: 3, to: 3 });
});

test('parseLayers() refuses what is no range of layers', () => {
  refuses(parseLayers, ['', '5', '5-', '-5', '5-4', '1-2-3', '0-99999', 'a-b']);
});

test('parseCount() reads whole numbers from 1', () => {
  assert.equal(parseCount('1'), 1);
  assert.equal(parseCount('1000000'), 1_000_000);
  refuses(parseCount, ['', '0', '-1', '1.5', '1e3', '0x10', '1000001', 'two']);
});

test('parseThreads() reads up to 256', () => {
  assert.equal(parseThreads('256'), 256);
  refuses(parseThreads, ['0', '257', '']);
});

test('parseSeed() reads 32-bit numbers', () => {
  assert.equal(parseSeed('0'), 0);
  assert.equal(parseSeed('4294967295'), 4294967295);
  refuses(parseSeed, ['', '-1', '1.5', '4294967296']);
});

test('parseRatio() reads numbers from 0 to 1', () => {
  for (const text of ['0', '0.24', '.5', '1']) assert.equal(parseRatio(text), Number(text));
  refuses(parseRatio, ['', ' ', '-0.1', '1.01', 'NaN', '50%']);
});

test("parseLevel() reads ONNX Runtime's levels and names them when it is none", () => {
  assert.equal(parseLevel('extended'), 'extended');
  refuses(parseLevel, ['', 'ALL', 'fast']);
  assert.throws(() => parseLevel('fast'), /one of disabled, basic, extended, layout, all/);
});

test('parseWeights() reads what a budget bounds', () => {
  assert.equal(parseWeights('resident'), 'resident');
  assert.equal(parseWeights('evictable'), 'evictable');
  refuses(parseWeights, ['', 'Resident', 'none']);
});

test('parseServer() reads where a broker is, with a password if it must be', () => {
  const servers = [
    'mqtt://127.0.0.1:1883',
    'mqtts://broker.local',
    'mqtt://[::1]:1883/',
    'mqtt://user:a%23b@host:1',
  ];
  for (const text of servers) assert.equal(parseServer(text), text);
  const others = [
    'localhost',
    'localhost:1883',
    'http://localhost',
    'mqtt:',
    'mqtt://',
    'mqtt://a b',
    'mqtt://h:99999',
  ];
  refuses(parseServer, [
    ...others,
    '',
    'embedded',
    'mqtt://host/path',
    'mqtt://host?clientId=x',
    'mqtt://u@v@host',
  ]);
  assert.throws(() => parseServer('localhost'), /Expected mqtt:\/\/host:port or mqtts:\/\/host:port\./);
});

test('parseNode(), parseModel() and parseBase() read what a configuration could have', () => {
  assert.equal(parseNode('cam-1'), 'cam-1');
  refuses(parseNode, ['', 'a/#', 'a/b', '+', 'clients', 'a b', 'x'.repeat(65)]);
  assert.equal(parseModel('yolo-1.1'), 'yolo-1.1');
  refuses(parseModel, ['', '+', '#', 'a/b', '../a', 'a b', 'x'.repeat(65)]);
  assert.equal(parseBase('site/mafat'), 'site/mafat');
  refuses(parseBase, ['', '/', 'a/', 'a//b', '+/a', '#', '$SYS', 'a b', 'x'.repeat(257)]);
  assert.throws(
    () => parseBase('#'),
    /Expected a topic such as site\/mafat: no \+, #, blanks or empty levels\./,
  );
});

test('collect() appends to what was given before', () => {
  assert.deepEqual(collect('a'), ['a']);
  assert.deepEqual(collect('b', ['a']), ['a', 'b']);
});

/** Commander prints these errors with the name of the option. */
function refuses(parse: (text: string) => unknown, texts: readonly string[]): void {
  for (const text of texts) assert.throws(() => parse(text), InvalidArgumentError, `"${text}"`);
}
