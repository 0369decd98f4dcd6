/**
 * The walls of the house, as one table: which rooms a room may import from. `findBreaches` checks sources against it.
 * Types count as imports, so that a room can't know another one by its types alone.
 */
import { dirname, join, normalize } from 'node:path';

interface Room {
  readonly imports: readonly string[];
  /** Rooms that no chain of imports from this room may reach, whatever lies between. Imports on demand don't count. */
  readonly neverReaches?: readonly string[];
}

const GEOMETRY = ['shared/graph', 'shared/tile'];
const PLANS = [...GEOMETRY, 'shared/predict', 'shared/search'];
const FORMATS = ['shared/onnx', 'shared/darknet'];

/** By folder. Each folder below agent and shared has a row; agent/main.ts stands above the commands. */
export const ROOMS: Readonly<Record<string, Room>> = {
  'shared/graph': { imports: [] },
  'shared/onnx': { imports: ['shared/graph'] },
  'shared/darknet': { imports: ['shared/graph'] },
  'shared/rules': { imports: [] },
  'shared/wire': { imports: ['shared/graph', 'shared/rules'] },
  'shared/tile': { imports: ['shared/graph'] },
  'shared/predict': { imports: GEOMETRY },
  'shared/search': { imports: [...GEOMETRY, 'shared/predict'] },

  'agent/files': { imports: [] },
  'agent/picture': { imports: ['agent/files'] },
  'agent/board': { imports: ['shared/graph', 'shared/wire'] },
  'agent/engine/wire': { imports: [...GEOMETRY, 'shared/predict'] },
  'agent/engine/compile': { imports: [...PLANS, 'shared/onnx', 'agent/engine/wire'] },
  'agent/engine/blocked': {
    imports: [
      'shared/graph',
      'shared/onnx',
      'shared/predict',
      'shared/rules',
      'agent/board',
      'agent/files',
      'agent/engine/compile',
      'agent/engine/wire',
    ],
  },
  'agent/engine/child': {
    imports: [...GEOMETRY, 'shared/predict', 'agent/engine/blocked', 'agent/engine/wire'],
    // The process loads no more than it runs.
    neverReaches: [
      'shared/onnx',
      'shared/wire',
      'shared/predict',
      'shared/search',
      'agent/files',
      'agent/board',
    ],
  },
  'agent/engine': {
    imports: [
      'shared/graph',
      'shared/predict',
      'shared/search',
      'agent/board',
      'agent/engine/blocked',
      'agent/engine/child',
      'agent/engine/compile',
      'agent/engine/wire',
    ],
  },
  'agent/models': {
    imports: [
      'shared/graph',
      'shared/rules',
      'shared/wire',
      ...FORMATS,
      'agent/decode',
      'agent/files',
      'agent/engine/wire',
    ],
  },
  'agent/decode': {
    imports: ['shared/graph', 'shared/darknet', 'shared/rules', 'agent/engine/wire', 'agent/picture'],
  },
  'agent/config': { imports: ['shared/graph', 'shared/predict', 'shared/rules', 'shared/wire'] },
  'agent/store': { imports: ['shared/graph', 'shared/wire', 'shared/predict', 'shared/search'] },
  'agent/events': { imports: ['shared/predict', 'shared/wire', 'agent/decode', 'agent/engine'] },
  'agent/planning/calibrate': {
    imports: [...PLANS, 'shared/darknet', 'agent/engine', 'agent/engine/blocked', 'agent/models'],
  },
  'agent/planning': {
    imports: [
      ...PLANS,
      'shared/rules',
      'shared/wire',
      'agent/board',
      'agent/config',
      'agent/engine',
      'agent/engine/blocked',
      'agent/events',
      'agent/models',
      'agent/store',
    ],
  },
  'agent/serve': {
    imports: [
      'shared/graph',
      'shared/wire',
      'agent/decode',
      'agent/engine',
      'agent/engine/wire',
      'agent/models',
      'agent/picture',
    ],
    neverReaches: [
      'agent/config',
      'agent/store',
      'agent/planning',
      'agent/camera',
      'agent/cli',
      'agent/serve/mqtt',
    ],
  },
  'agent/serve/mqtt': {
    imports: ['shared/wire'],
    neverReaches: [
      'agent/engine',
      'agent/config',
      'agent/store',
      'agent/planning',
      'agent/camera',
      'agent/cli',
    ],
  },
  'agent/serve/mqtt/requests': {
    imports: ['shared/wire', 'agent/engine/wire', 'agent/serve', 'agent/serve/mqtt'],
    neverReaches: ['agent/config', 'agent/store', 'agent/planning', 'agent/camera', 'agent/cli'],
  },
  'agent/serve/broker': {
    imports: ['shared/graph', 'shared/wire'],
    neverReaches: ['agent/engine', 'agent/serve/mqtt'],
  },
  'agent/track': { imports: ['shared/graph', 'shared/wire', 'agent/decode'] },
  'agent/camera': {
    imports: [
      'shared/graph',
      'shared/wire',
      'agent/board',
      'agent/config',
      'agent/decode',
      'agent/engine/wire',
      'agent/events',
      'agent/report',
      'agent/serve',
      'agent/track',
    ],
    neverReaches: ['agent/store', 'agent/planning', 'agent/serve/mqtt', 'agent/cli'],
  },
  'agent/check': {
    imports: [
      'shared/search',
      'shared/wire',
      'agent/board',
      'agent/camera',
      'agent/engine',
      'agent/engine/wire',
      'agent/models',
      'agent/store',
    ],
    neverReaches: ['agent/planning', 'agent/serve/mqtt', 'agent/cli'],
  },
  'agent/report': {
    imports: ['shared/wire', 'agent/board', 'agent/engine', 'agent/events'],
    neverReaches: [
      'agent/config',
      'agent/store',
      'agent/planning',
      'agent/camera',
      'agent/serve/mqtt',
      'agent/cli',
    ],
  },
  'agent/cli': {
    imports: [
      ...PLANS,
      'shared/wire',
      'agent',
      'agent/board',
      'agent/check',
      'agent/config',
      'agent/decode',
      'agent/doctor',
      'agent/engine',
      'agent/engine/blocked',
      'agent/engine/wire',
      'agent/files',
      'agent/models',
      'agent/picture',
      'agent/planning',
      'agent/planning/calibrate',
      'agent/serve/mqtt',
      'agent/store',
    ],
  },
  'agent/doctor': {
    imports: [
      'shared/graph',
      'shared/wire',
      'agent/board',
      'agent/config',
      'agent/engine',
      'agent/models',
      'agent/planning',
      'agent/serve/mqtt',
      'agent/store',
    ],
    neverReaches: ['agent', 'agent/serve/broker', 'agent/cli'],
  },
  // Whatever it reaches is loaded before signals are caught.
  'agent/main.ts': {
    imports: ['agent', 'agent/cli'],
    neverReaches: ['shared/search', 'agent/cli', 'agent/board'],
  },
  agent: {
    imports: [
      'shared/wire',
      'agent/board',
      'agent/camera',
      'agent/check',
      'agent/config',
      'agent/engine',
      'agent/events',
      'agent/models',
      'agent/planning',
      'agent/report',
      'agent/serve',
      'agent/serve/broker',
      'agent/serve/mqtt',
      'agent/serve/mqtt/requests',
      'agent/store',
    ],
  },
};

/** The one file that may import a library; else a room, where the library is part of its work. */
export const LIBRARIES: Readonly<Record<string, readonly string[]>> = {
  'onnxruntime-node': ['agent/engine/child/onnx-runtime.ts'],
  sharp: ['agent/engine/child/image.ts'],
  'better-sqlite3': ['agent/store'],
  mqtt: ['agent/serve/mqtt/mqtt-line.ts'],
  'mqtt-packet': ['agent/serve/mqtt/mqtt-line.ts'],
  aedes: ['agent/serve/broker/embedded-broker.ts'],
  pidusage: ['agent/report/process-usage.ts'],
  'node-cron': ['agent/store/housekeeping.ts'],
  commander: ['agent/cli'],
  'yocto-spinner': ['agent/cli/progress.ts'],
  yaml: ['agent/config/yaml-source.ts', 'agent/models/manifest.ts', 'agent/models/set-key.ts'],
  '@bufbuild/protobuf': ['shared/onnx'],
};

/** Source text by path from the project's root, with forward slashes. */
export type Sources = ReadonlyMap<string, string>;

interface Import {
  readonly specifier: string;
  readonly isOnDemand: boolean;
}

/** Each import against a wall, as a sentence. */
export function findBreaches(sources: Sources): readonly string[] {
  return [...sources.keys()].filter(isWalled).flatMap((file) => breachesOf(file, sources));
}

/** Benches and the demo may use what they like; nothing may use them. */
function isWalled(file: string): boolean {
  return /^(agent|shared)\//.test(file);
}

/** A file with a row of its own, or its folder. */
function roomOf(file: string): string {
  return file in ROOMS ? file : dirname(file);
}

function breachesOf(file: string, sources: Sources): readonly string[] {
  const room = roomOf(file);
  const row = ROOMS[room];
  if (row === undefined) return [`${room} has no row in test/architecture.ts`];
  const imports = importsOf(sources.get(file) ?? '');
  const direct = imports
    .map(({ specifier }) => targetOf(file, specifier))
    .filter((target) => target !== undefined)
    .filter((target) => roomOf(target) !== room && !row.imports.includes(roomOf(target)))
    .map((target) => `${file} imports ${target}: ${room} may not import ${roomOf(target)}`);
  const libraries = imports
    .map(({ specifier }) => ({ specifier, places: placesOf(specifier) }))
    .filter(({ places }) => places?.some((place) => file.startsWith(place)) === false)
    .map(({ specifier, places }) => `${file} imports ${specifier}: only ${places?.join(', ')} may`);
  const reached = reachableFrom(file, sources);
  const distant = (row.neverReaches ?? [])
    .flatMap((never) => [...reached].filter((target) => roomOf(target) === never).slice(0, 1))
    .map((target) => `${file} reaches ${target}: ${room} may never reach ${roomOf(target)}`);
  return [...direct, ...libraries, ...distant];
}

/** Where a library may be imported, parts of it such as `name/part` included; undefined where it may be anywhere. */
function placesOf(specifier: string): readonly string[] | undefined {
  const name = Object.keys(LIBRARIES).find(
    (known) => specifier === known || specifier.startsWith(`${known}/`),
  );
  return name === undefined ? undefined : LIBRARIES[name];
}

const IMPORT = /(?:\bfrom|(?<onDemand>\bimport\()|^import)\s*'(?<specifier>[^']+)'/gm;

function importsOf(text: string): readonly Import[] {
  return [...text.matchAll(IMPORT)].map(({ groups }) => ({
    specifier: groups?.specifier ?? '',
    isOnDemand: groups?.onDemand !== undefined,
  }));
}

/** The imported file's path; undefined for a library. */
function targetOf(file: string, specifier: string): string | undefined {
  return specifier.startsWith('.')
    ? normalize(join(dirname(file), specifier)).replace(/\.js$/, '.ts')
    : undefined;
}

/** Files that are loaded with a file: by way of all imports but those on demand and those of types alone. */
function reachableFrom(start: string, sources: Sources): ReadonlySet<string> {
  const reached = new Set<string>();
  const pending = [start];
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    const text = withoutTypeImports(sources.get(file) ?? '');
    for (const { specifier, isOnDemand } of importsOf(text)) {
      const target = targetOf(file, specifier);
      if (isOnDemand || target === undefined || reached.has(target)) continue;
      reached.add(target);
      pending.push(target);
    }
  }
  return reached;
}

function withoutTypeImports(text: string): string {
  return text.replace(/^(?:import|export) type [^;]*;/gm, '');
}

/** A circle in the table, as `a -> b -> a`; undefined where there is none. */
export function findCircle(rooms: Readonly<Record<string, Room>> = ROOMS): string | undefined {
  const done = new Set<string>();
  const visit = (room: string, path: readonly string[]): string | undefined => {
    if (path.includes(room)) return [...path.slice(path.indexOf(room)), room].join(' -> ');
    if (done.has(room)) return undefined;
    for (const next of rooms[room]?.imports ?? []) {
      const circle = visit(next, [...path, room]);
      if (circle !== undefined) return circle;
    }
    done.add(room);
    return undefined;
  };
  for (const room of Object.keys(rooms)) {
    const circle = visit(room, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}
