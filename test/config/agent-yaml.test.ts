/** config/agent.yaml is the documentation of the keys, so that it must agree with the code. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { DEFAULT_CONFIG, loadConfig, parseConfig } from '../../agent/config/load-config.js';

const FILE = fileURLToPath(new URL('../../../config/agent.yaml', import.meta.url));
const SHIPPED = readFileSync(FILE, 'utf8');

/** A line with a default: `#key: value`. Prose has a blank after `#`. */
const UNCOMMENTED = SHIPPED.replace(/^( *)#(?=[a-zA-Z]+:)/gm, '$1');

/** A line of an example, which is indented by three blanks. */
const EXAMPLE = [...SHIPPED.matchAll(/^# {3}(.*)$/gm)].map(([, line]) => line).join('\n');

interface Example {
  readonly models: readonly Record<string, unknown>[];
  readonly cameras: readonly Record<string, unknown>[];
}

test('loadConfig() gives the defaults for config/agent.yaml as it is shipped', async () => {
  assert.deepEqual(await loadConfig(FILE), DEFAULT_CONFIG);
});

test('parseConfig() gives the defaults for config/agent.yaml when every default is uncommented', () => {
  assert.notEqual(UNCOMMENTED, SHIPPED);
  assert.deepEqual(parseConfig(UNCOMMENTED, FILE), DEFAULT_CONFIG);
});

test('config/agent.yaml has every key, in the order of the schema', () => {
  assert.deepEqual(keysOf(parse(UNCOMMENTED)), keysOf(DEFAULT_CONFIG));
});

test('config/agent.yaml leaves null only what depends on the machine or has no value', () => {
  const nulls = [...UNCOMMENTED.matchAll(/^ *(\w+): null$/gm)].map(([, key]) => key);
  assert.deepEqual(nulls, [
    'node',
    'username',
    'password',
    'passwordFile',
    'ca',
    'cert',
    'key',
    'clientId',
    'path',
  ]);
});

test("config/agent.yaml's examples have every key, with its default", () => {
  const example = parse(EXAMPLE) as Example;
  const { models, cameras } = parseConfig(EXAMPLE, FILE);
  assert.deepEqual(keysOf(example.models), keysOf(models));
  for (const [at, camera] of cameras.entries()) {
    assert.deepEqual(Object.keys(example.cameras[at] ?? {}).sort(), Object.keys(camera).sort());
  }
  const required = {
    models: example.models.map((model) => pick(model, ['name'])),
    cameras: example.cameras.map((camera) => pick(camera, ['kind', 'name', 'model', 'files', 'url'])),
  };
  assert.deepEqual(parseConfig(stringify(required), FILE), { ...DEFAULT_CONFIG, models, cameras });
  assert.deepEqual(
    new Set(cameras.map(({ kind }) => kind)),
    new Set(['synthetic', 'file', 'ffmpeg', 'libcamera']),
  );
});

/** Paths of all keys, in order. */
function keysOf(value: unknown, path = ''): readonly string[] {
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, inner]) => [path, ...keysOf(inner, `${path}.${key}`)]);
}

function pick(record: Record<string, unknown>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([key]) => keys.includes(key)));
}
