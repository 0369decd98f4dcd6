import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { DEFAULT_CONFIG, loadConfig, parseConfig } from '../../agent/config/load-config.js';
import { temporaryFolder } from '../fixtures.js';

test('parseConfig() gives the defaults for an empty file', () => {
  for (const text of ['', '# nothing\n', '---\n', '{}', 'mqtt:\nmodels:\nnode: null\n', '\ufeff']) {
    assert.deepEqual(parseConfig(text, 'a.yaml'), DEFAULT_CONFIG, text);
  }
});

test('parseConfig() takes sizes as bytes, and what is given before defaults', () => {
  const text = `
memory: {budget: 64M}
mqtt: {server: "mqtts://broker:8883", base: site/mafat, maxPayload: 4096, listen: {host: "::", port: 0}}
models: [{name: yolo.v2, threads: 2, threshold: 0}]
cameras: [{kind: file, name: c1, model: yolo.v2, files: [a.jpg]}]`;
  const config = parseConfig(text, 'a.yaml');
  assert.equal(config.memory.budget, 64 * 2 ** 20);
  assert.equal(config.memory.floor, 0.12);
  assert.deepEqual(config.mqtt, {
    ...DEFAULT_CONFIG.mqtt,
    server: 'mqtts://broker:8883',
    base: 'site/mafat',
    maxPayload: 4096,
    listen: { host: '::', port: 0 },
  });
  const expected = {
    name: 'yolo.v2',
    threads: 2,
    level: 'auto',
    weights: 'resident',
  };
  assert.deepEqual(config.models, [{ ...expected, threshold: 0 }]);
  const { kind, name, model, fps } = config.cameras[0] ?? assert.fail('no camera');
  assert.deepEqual([kind, name, model, fps], ['file', 'c1', 'yolo.v2', 1]);
});

test('parseConfig() freezes all of it', () => {
  const config = parseConfig(
    'cameras: [{kind: file, name: c, model: m, files: [a]}]\nmodels: [{name: m}]',
    'a',
  );
  const [camera] = config.cameras;
  assert.ok(camera?.kind === 'file');
  for (const part of [config, config.mqtt.listen, config.models, config.models[0], camera, camera.files]) {
    assert.ok(Object.isFrozen(part));
  }
});

test('parseConfig() names all that is wrong at once, in the order of the file', () => {
  const text = `version: 2
node: küche
models:
  - name: a
  - name: a
    levl: all
  - threads: 0
memory:
  floor: 0.05
  minInterval: 10
mqtt:
  listen:
    port: -1
  base: a//b
cameras:
  - kind: webcam
  - {kind: synthetic, name: c, model: b}
  - {kind: file, name: c, model: a, files: []}
  - five
store: []
`;
  assert.deepEqual(problemsOf(text), [
    '1: version: cannot be 2, expected 1',
    '2: node: cannot be "küche", expected a name other than clients, of 1 to 64 of the characters a-z, A-Z, 0-9, _ and -',
    '5: models.1.name: cannot be "a" again, expected a name other than that of models.0',
    '6: models.1.levl: unknown key, did you mean "level"? Expected one of name, threads, level, weights, threshold',
    '7: models.2.name: is missing, expected 1 to 64 letters, digits, ".", "_" or "-", starting with a letter or digit',
    '7: models.2.threads: cannot be 0, expected a whole number from 1 to 256',
    '9: memory.floor: cannot be 0.05, expected a ratio above 0.1 and below 0.9',
    '10: memory.minInterval: cannot be 10, expected at most maxInterval, 5',
    '13: mqtt.listen.port: cannot be -1, expected a whole number from 0 to 65535',
    '14: mqtt.base: cannot be "a//b", expected a topic such as site/mafat: no +, #, blanks or empty levels',
    '16: cameras.0.kind: cannot be "webcam", expected one of synthetic, file, ffmpeg, libcamera',
    '17: cameras.1.model: cannot be "b", expected one of "a"',
    '18: cameras.2.files: cannot be a list, expected a list of at least one path',
    '18: cameras.2.name: cannot be "c" again, expected a name other than that of cameras.1',
    '19: cameras.3: cannot be a text, expected a map of keys',
    '20: store: cannot be a list, expected a map of keys',
  ]);
});

test('parseConfig() names the nearest key of an unknown one, at its place', () => {
  const cases = [
    ['modles: []', '1: modles: unknown key, did you mean "models"?'],
    ['mqtt:\n  keepalve: 3\n', '2: mqtt.keepalve: unknown key, did you mean "keepalive"?'],
    ['mqtt:\n  listen:\n    Port: 3\n', '3: mqtt.listen.Port: unknown key, did you mean "port"?'],
    ['cameras:\n- kind: synthetic\n  hight: 9', '3: cameras.0.hight: unknown key, did you mean "height"?'],
    ['log:\n  __proto__: 1', '2: log.__proto__: unknown key, did you mean "level"?'],
  ] as const;
  for (const [text, start] of cases) {
    assert.ok(
      problemsOf(text).some((problem) => problem.startsWith(start)),
      `${problemsOf(text)}`,
    );
  }
});

test('parseConfig() refuses values at the edge of what is allowed', () => {
  const edges: Readonly<Record<string, readonly string[]>> = {
    'node: %': [`${'n'.repeat(65)}`, '""', 'a/b', '12'],
    'memory: {floor: %}': ['0.1', '0.9', '12%', '.nan'],
    'memory: {budget: %}': ['0', 'full', '64T', '[]', 'true'],
    'memory: {minInterval: %}': ['0', '-1'],
    'memory: {maxInterval: %}': ['.inf', '3601'],
    'mqtt: {server: %}': [
      'aedes',
      '"http://a"',
      '"mqtt://"',
      '"mqtt://a?b=c"',
      '"mqtt://a/b"',
      '"mqtt://a:99999"',
    ],
    'mqtt: {base: %}': ['/a', 'a/', '"a+"', '"#"', '$SYS', '"a b"', '"a\\0"', '""'],
    'mqtt: {maxPayload: %}': ['1023', '256M', '-1'],
    'mqtt: {keepalive: %}': ['65536', '1.5', '30s'],
    'mqtt: {listen: {host: %}}': ['"a b"', '"1::2::3"', '-a'],
    'mqtt: {server: "mqtt://b", username: %}': ['5', '""', 'true'],
    'health: {interval: %}': ['0', '86401'],
    'events: {keepDays: %}': ['0', '0.5'],
    'log: {level: %}': ['INFO', 'off'],
  };
  for (const [form, values] of Object.entries(edges)) {
    for (const value of values)
      assert.equal(problemsOf(form.replace('%', value)).length, 1, `${form} ${value}`);
  }
});

test('parseConfig() takes values at the edge of what is allowed', () => {
  const texts = [
    `node: ${'n'.repeat(64)}`,
    'memory: {floor: 0.101, budget: 1M, minInterval: 5}',
    'mqtt: {server: "mqtt://[::1]:1883/", base: küche/1, maxPayload: 255M, keepalive: 0, listen: {host: a.b}}',
    'mqtt: {username: a, password: "12", clientId: "dev:1"}',
  ];
  for (const text of texts) assert.deepEqual(acceptedOr(text), [], text);
});

test('parseConfig() refuses duplicate keys along with all else', () => {
  assert.deepEqual(problemsOf('memory:\n  floor: 0.2\n  floor: 5\nnode: a\nmemory: {}\n'), [
    '5: memory: is given more than once, expected once',
  ]);
  assert.equal(problemsOf('node: a\nnode: b\nnode: c\n').length, 1);
  assert.deepEqual(problemsOf('log:\n  level: warn\n  level: loud\n'), [
    '3: log.level: is given more than once, expected once',
    '3: log.level: cannot be "loud", expected one of trace, debug, info, warn, error',
  ]);
});

test('parseConfig() names the line of what is not YAML', () => {
  const cases = [
    ['node: a\nmqtt: [1\nlog: {}', 3],
    ['mqtt:\n\tbase: a', 2],
    ['a: 1\n---\nb: 1', 2],
    ['node: !me a', 1],
    ['{a: 1}: 2', 1],
    ['log: {}\nnode: *x', 2],
  ] as const;
  for (const [text, line] of cases) {
    assert.throws(
      () => parseConfig(text, 'a.yaml'),
      new RegExp(`^SyntaxError: Cannot parse a.yaml:\\n  a.yaml:${line}: `),
    );
  }
  assert.throws(() => parseConfig('- a', 'a.yaml'), /a.yaml:1: document: cannot be a list, expected a map/);
});

test('parseConfig() refuses a shortest time that is longer than the longest', () => {
  assert.deepEqual(problemsOf('memory: {minInterval: 3, maxInterval: 2}'), [
    '1: memory.maxInterval: cannot be 2, expected at least minInterval, 3',
  ]);
});

test('parseConfig() refuses aliases that would fill the memory', () => {
  const row = (name: string) => `[${Array(10).fill(`*${name}`).join(', ')}]`;
  const text = `a: &a [1]\nb: &b ${row('a')}\nc: &c ${row('b')}\nd: ${row('c')}`;
  assert.throws(() => parseConfig(text, 'a.yaml'), /^SyntaxError: Cannot parse a.yaml: its aliases/);
});

test('parseConfig() gives lines through aliases', () => {
  const text = 'models:\n- &m {name: m, threads: 0}\n- *m\n';
  assert.deepEqual(
    problemsOf(text).map((problem) => problem.split(':')[0]),
    ['2', '2', '2'],
  );
});

test('parseConfig() never shows a password', () => {
  const texts = [
    'mqtt: {password: 53cr3t}\nnode: ""',
    'mqtt: {password: [53cr3t]}',
    'mqtt: {password: {53cr3t: 53cr3t}}',
    'mqtt: {password: 0x53c}',
    'mqtt:\n  pasword: 53cr3t',
    'mqtt:\n  password:53cr3t',
    'mqtt: {password:53cr3t, base: a}',
    'mqtt:\n  base: a\n    password=53cr3t',
    'mqtt:\n  base: a\n  password:53cr3t\n  keepalive: 3',
    'mqtt: 53cr3t',
    'mqtt: {server: "mqtt://me:53cr3t@host"}',
    'mqtt: {server: "me:53/cr3t@host"}',
    'mqtt: {password: *53cr3t}',
    'mqtt: {password: !53cr3t}',
    'mqtt: {password: "\\U53cr3t"}',
    'mqtt:\n  password: |53cr3t\n',
    'mqtt:\n  password: a\n  password: 53cr3t\n',
  ];
  for (const text of texts) {
    const problems = acceptedOr(text);
    assert.ok(problems.length > 0, text);
    assert.doesNotMatch(problems.join('\n'), /53c|cr3t|1340/, text);
  }
});

test('parseConfig() gives a Config or a SyntaxError, whatever the text', () => {
  const word = fc.constantFrom(
    'mqtt',
    'models',
    'name',
    'kind',
    'file',
    ':',
    ' ',
    '\n',
    '- ',
    '{',
    '}',
    '[',
    ']',
  );
  const odd = fc.constantFrom(
    '&a',
    '*a',
    '!x',
    '"',
    "'",
    '|',
    '%',
    '? ',
    '0',
    'null',
    '<<',
    '#',
    '\t',
    '---\n',
  );
  const text = fc.array(fc.oneof(word, odd), { maxLength: 30 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, (yaml) => void acceptedOr(yaml)),
    { numRuns: 500 },
  );
});

test('loadConfig() reads a file, and says which it cannot', async (context) => {
  const file = join(temporaryFolder(context), 'agent.yaml');
  await assert.rejects(loadConfig(file), {
    name: 'RangeError',
    message: `Cannot read ${file}: no such file`,
  });
  writeFileSync(file, 'node: porch\n');
  assert.deepEqual(await loadConfig(file), { ...DEFAULT_CONFIG, node: 'porch' });
  writeFileSync(file, 'node: a/b\n');
  await assert.rejects(loadConfig(file), /agent.yaml:1: node: cannot be "a\/b", expected/);
});

/** Lines of the error without the name of the file; none if the text is accepted. */
function acceptedOr(text: string): readonly string[] {
  try {
    parseConfig(text, 'a.yaml');
    return [];
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return error.message.split('\n');
  }
}

/** `LINE: path: what is wrong`, for each problem. */
function problemsOf(text: string): readonly string[] {
  const [heading, ...problems] = acceptedOr(text);
  assert.equal(heading, 'Cannot use a.yaml:', text);
  return problems.map((problem) => problem.replace('  a.yaml:', ''));
}
