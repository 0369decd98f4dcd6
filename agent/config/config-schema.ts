/** The keys of the agent's configuration, with their rules and defaults. config/agent.yaml explains each key. */

import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { z } from 'zod';
import { LEVELS } from '../../shared/predict/index.js';
import { MODEL_NAME, MODEL_NAME_RULE } from '../../shared/wire/index.js';
import {
  byteSize,
  choice,
  list,
  map,
  matching,
  numberWithin,
  orDefault,
  rule,
  section,
  wholeNumber,
} from './config-rule.js';
import { fitNodeName, TOPIC_NAME } from './node-name.js';

/** Default intervals of memory samples, in seconds. If only one is given, it is compared with the other's default. */
export const DEFAULT_INTERVALS = { least: 0.1, most: 5 } as const;

const DAY = 86_400;
const MAX_THREADS = 256;
const MAX_PAYLOAD = { least: 2 ** 10, most: 255 * 2 ** 20 } as const;
/** Least budget in bytes. A smaller number probably lacks its unit. */
const LEAST_BUDGET = 2 ** 20;
const HOST = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i;
/** A topic: levels without wildcards, blanks and control characters. Topics that begin with `$` are the broker's. */
const TOPIC = /^(?!\$)[^\s\p{Cc}/+#]+(\/[^\s\p{Cc}/+#]+)*$/u;

const topicName = matching(TOPIC_NAME, '1 to 64 of the characters a-z, A-Z, 0-9, _ and -');
const modelName = matching(MODEL_NAME, MODEL_NAME_RULE);
const path = z
  .string()
  .min(1)
  .regex(/^[^\0]*$/);
const text = rule(
  z.string().min(1).max(65_535),
  'a text that is not empty (quote it if it looks like a number)',
);

const modelSchema = map({
  name: modelName,
  /** Threads per operator; null if the planner chooses, up to the number of cores. */
  threads: orDefault(wholeNumber(1, MAX_THREADS), null),
  level: orDefault(choice(['auto', ...LEVELS]), 'auto' as const),
  strategy: orDefault(
    matching(/^[a-z][a-z0-9-]{0,63}$/, 'the name of a strategy, such as optimal'),
    'optimal',
  ),
  weights: orDefault(choice(['resident', 'evictable']), 'resident' as const),
  /** Least confidence of a detection; null for the model's own. */
  threshold: orDefault(numberWithin(0, 1), null),
});

const cameraBase = {
  name: topicName,
  model: modelName,
  /** Frames per second. */
  fps: orDefault(rule(z.number().min(0.001).max(120), 'a number from 0.001 to 120'), 1),
};

const cameraSchema = z.discriminatedUnion(
  'kind',
  [
    map({
      kind: z.literal('synthetic'),
      ...cameraBase,
      width: orDefault(wholeNumber(2, 8192), 640),
      height: orDefault(wholeNumber(2, 8192), 480),
    }),
    map({
      kind: z.literal('file'),
      ...cameraBase,
      files: rule(z.array(path).min(1), 'a list of at least one path'),
    }),
  ],
  { error: ({ code }) => (code === 'invalid_union' ? 'one of synthetic, file' : 'a map of keys') },
);

const memorySchema = section({
  /** Budget in bytes; `auto` for as much as the board can spare. */
  budget: orDefault(
    rule(
      z.union([z.literal('auto'), byteSize().pipe(z.number().min(LEAST_BUDGET))]),
      'auto, or a size of at least 1M, such as 64M or 1.5G',
    ),
    'auto' as const,
  ),
  /** Part of MemTotal that stays free. It must be above 0.1, where earlyoom and systemd-oomd act. */
  floor: orDefault(rule(z.number().gt(0.1).lt(0.9), 'a ratio above 0.1 and below 0.9'), 0.12),
  /** Interval of memory samples under pressure, in seconds. */
  minInterval: orDefault(numberWithin(0.01, 3600), DEFAULT_INTERVALS.least),
  maxInterval: orDefault(numberWithin(0.01, 3600), DEFAULT_INTERVALS.most),
});

const listenSchema = section({
  host: orDefault(
    rule(
      z.string().refine((host) => isIP(host) !== 0 || HOST.test(host)),
      'an IP address or a host name',
    ),
    '127.0.0.1',
  ),
  port: orDefault(wholeNumber(0, 65_535), 1883),
});

const mqttSchema = section({
  server: orDefault(
    rule(
      z.string().refine(isServer),
      'embedded, or mqtt://host:port or mqtts://host:port without user name, password and path',
    ),
    'embedded',
  ),
  listen: listenSchema,
  base: orDefault(
    rule(z.string().max(256).regex(TOPIC), 'a topic such as site/mafat: no +, #, blanks or empty levels'),
    'mafat',
  ),
  username: orDefault(text, null),
  password: orDefault(text, null),
  clientId: orDefault(
    matching(/^[^\p{Cc}/+#]{1,128}$/u, '1 to 128 printable characters other than /, + and #'),
    null,
  ),
  /** Keepalive interval in seconds. */
  keepalive: orDefault(wholeNumber(0, 65_535), 30),
  /** Largest payload of a request, in bytes. */
  maxPayload: orDefault(
    rule(byteSize().pipe(z.number().min(MAX_PAYLOAD.least).max(MAX_PAYLOAD.most)), 'a size from 1K to 255M'),
    2 * 2 ** 20,
  ),
});

/** Whether a text is a broker's URL. It may not contain a password, because logs print it. */
function isServer(server: string): boolean {
  if (server === 'embedded') return true;
  if (!/^mqtts?:\/\//.test(server) || !URL.canParse(server)) return false;
  const { hostname: host, username, password, pathname, search, hash } = new URL(server);
  return host !== '' && username + password + search + hash === '' && ['', '/'].includes(pathname);
}

export const configSchema = section({
  version: orDefault(rule(z.literal(1), '1'), 1 as const),
  /** Name of the node. `clients` is taken: answers go below it. */
  node: orDefault(
    rule(
      topicName.refine((name) => name !== 'clients'),
      'a name other than clients, of 1 to 64 of the characters a-z, A-Z, 0-9, _ and -',
    ),
    fitNodeName(hostname()),
  ),
  models: list(modelSchema),
  memory: memorySchema,
  mqtt: mqttSchema,
  cameras: list(cameraSchema),
  /** Path of the database; null for a file in the state folder. */
  store: section({ path: orDefault(rule(path, 'a path'), null) }),
  /** Interval of health reports, in seconds. */
  health: section({ interval: orDefault(numberWithin(1, DAY), 60) }),
  events: section({ keepDays: orDefault(wholeNumber(1, 3650), 14) }),
  log: section({ level: orDefault(choice(['trace', 'debug', 'info', 'warn', 'error']), 'info' as const) }),
});

type Frozen<T> = T extends readonly (infer E)[]
  ? readonly Frozen<E>[]
  : T extends object
    ? { readonly [K in keyof T]: Frozen<T[K]> }
    : T;

/**
 * The configuration. Sizes are in bytes and durations in seconds, as in the file. null leaves a value to the
 * agent.
 */
export type Config = Frozen<z.output<typeof configSchema>>;
export type ModelConfig = Config['models'][number];
export type CameraConfig = Config['cameras'][number];
