/** The keys of the agent's configuration, with their rules and defaults. config/agent.yaml explains each key. */

import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { LEVELS } from '../../shared/predict/index.js';
import type { Checked, ValueOf } from '../../shared/rules/index.js';
import {
  choice,
  list,
  map,
  matching,
  number,
  numberWithin,
  orDefault,
  text,
  valid,
  wholeNumber,
} from '../../shared/rules/index.js';
import { MODEL_NAME, MODEL_NAME_RULE } from '../../shared/wire/index.js';
import { cameraSchema } from './camera-schema.js';
import { byteSize, section } from './config-rule.js';
import { fitNodeName, TOPIC_NAME, TOPIC_NAME_RULE } from './node-name.js';

/** Default intervals of memory samples, in seconds. If only one is given, it is compared with the other's default. */
export const DEFAULT_INTERVALS = { least: 0.1, most: 5 } as const;

const DAY = 86_400;
const MAX_THREADS = 256;
const MAX_PAYLOAD = { expected: 'a size from 1K to 255M', least: 2 ** 10, most: 255 * 2 ** 20 } as const;
/** A smaller number probably lacks its unit. */
const BUDGET = { expected: 'auto, or a size of at least 1M, such as 64M or 1.5G', least: 2 ** 20 } as const;
const HOST = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i;
/** A topic: levels without wildcards, blanks and control characters. Topics that begin with `$` are the broker's. */
const TOPIC = /^(?!\$)[^\s\p{Cc}/+#]+(\/[^\s\p{Cc}/+#]+)*$/u;

const modelName = matching(MODEL_NAME, MODEL_NAME_RULE);
const path = text('a path', isPath);
const secret = text(
  'a text that is not empty (quote it if it looks like a number)',
  ({ length }) => length >= 1 && length <= 65_535,
);

const modelSchema = map({
  name: modelName,
  /** Threads per operator; null if the planner chooses, up to the number of cores. */
  threads: orDefault(wholeNumber(1, MAX_THREADS), null),
  level: orDefault(choice(['auto', ...LEVELS]), 'auto'),
  weights: orDefault(choice(['resident', 'evictable']), 'resident'),
  /** Least confidence of a detection; null for the model's own. */
  threshold: orDefault(numberWithin(0, 1), null),
});

const memorySchema = section({
  /** Budget in bytes; `auto` for as much as the board can spare. */
  budget: orDefault(
    (value): Checked<number | 'auto'> => (value === 'auto' ? valid(value) : byteSize(BUDGET)(value)),
    'auto',
  ),
  /** Part of MemTotal that stays free. It must be above 0.1, where earlyoom and systemd-oomd act. */
  floor: orDefault(
    number('a ratio above 0.1 and below 0.9', (ratio) => ratio > 0.1 && ratio < 0.9),
    0.12,
  ),
  /** Interval of memory samples under pressure, in seconds. */
  minInterval: orDefault(numberWithin(0.01, 3600), DEFAULT_INTERVALS.least),
  maxInterval: orDefault(numberWithin(0.01, 3600), DEFAULT_INTERVALS.most),
});

const listenSchema = section({
  host: orDefault(text('an IP address or a host name', isHost), '127.0.0.1'),
  port: orDefault(wholeNumber(0, 65_535), 1883),
});

const mqttSchema = section({
  server: orDefault(
    text('embedded, or mqtt://host:port or mqtts://host:port without user name, password and path', isServer),
    'embedded',
  ),
  listen: listenSchema,
  base: orDefault(
    text(
      'a topic such as site/mafat: no +, #, blanks or empty levels',
      (topic) => topic.length <= 256 && TOPIC.test(topic),
    ),
    'mafat',
  ),
  username: orDefault(secret, null),
  password: orDefault(secret, null),
  /** File whose first line is the password. */
  passwordFile: orDefault(path, null),
  /** Files in PEM for `mqtts`: authorities instead of the system's, and a client certificate with its key. */
  tls: section({
    ca: orDefault(path, null),
    cert: orDefault(path, null),
    key: orDefault(path, null),
  }),
  clientId: orDefault(
    matching(/^[^\p{Cc}/+#]{1,128}$/u, '1 to 128 printable characters other than /, + and #'),
    null,
  ),
  /** Keepalive interval in seconds. */
  keepalive: orDefault(wholeNumber(0, 65_535), 30),
  /** Largest payload of a request, in bytes. */
  maxPayload: orDefault(byteSize(MAX_PAYLOAD), 2 * 2 ** 20),
});

/** Whether a value is an IP address or a host name. */
export function isHost(value: unknown): value is string {
  return typeof value === 'string' && (isIP(value) !== 0 || HOST.test(value));
}

function isPath(text: string): boolean {
  return text !== '' && !text.includes('\0');
}

/** Whether a text is a broker's URL. It may not contain a password, because logs print it. */
function isServer(server: string): boolean {
  if (server === 'embedded') return true;
  if (!/^mqtts?:\/\//.test(server) || !URL.canParse(server)) return false;
  const { hostname: host, username, password, pathname, search, hash } = new URL(server);
  return host !== '' && username + password + search + hash === '' && ['', '/'].includes(pathname);
}

export const configSchema = section({
  version: orDefault(choice([1]), 1),
  /** Name of the node. `clients` is taken: answers go below it. */
  node: orDefault(
    text(
      `a name other than clients, of ${TOPIC_NAME_RULE}`,
      (name) => name !== 'clients' && TOPIC_NAME.test(name),
    ),
    fitNodeName(hostname()),
  ),
  models: orDefault(list(modelSchema), []),
  memory: memorySchema,
  mqtt: mqttSchema,
  cameras: orDefault(list(cameraSchema), []),
  /** Path of the database; null for a file in the state folder. */
  store: section({ path: orDefault(path, null) }),
  /** Interval of health reports, in seconds. */
  health: section({ interval: orDefault(numberWithin(1, DAY), 60) }),
  /** Interval of self-checks, in seconds; 0 for none but those of new plans. */
  selfCheck: section({ interval: orDefault(numberWithin(0, DAY), 300) }),
  events: section({ keepDays: orDefault(wholeNumber(1, 3650), 14) }),
  log: section({ level: orDefault(choice(['trace', 'debug', 'info', 'warn', 'error']), 'info') }),
});

/**
 * The configuration. Sizes are in bytes and durations in seconds, as in the file. null leaves a value to the
 * agent.
 */
export type Config = ValueOf<typeof configSchema>;
export type ModelConfig = Config['models'][number];
