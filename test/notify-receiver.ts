/** A service manager's end of sd_notify for tests: a real unix datagram socket, which Node.js itself can't open. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { temporaryFolder } from './fixtures.js';
import { until } from './start-agent.js';

const hasProgram = (file: string) => spawnSync(file, ['--version']).status === 0;

/** For `test(name, { skip })`. */
export const skipWithoutNotify: string | false = !hasProgram('python3')
  ? 'python3 is not installed, which receives datagrams'
  : !hasProgram('systemd-notify')
    ? 'systemd-notify is not installed'
    : false;

/** Prints each datagram as a line of JSON. A name with @ in front is abstract. */
const SCRIPT = `
import json, socket, sys
name = sys.argv[1]
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind('\\0' + name[1:] if name.startswith('@') else name)
print(flush=True)
while True:
    print(json.dumps(receiver.recv(65536).decode()), flush=True)
`;

export interface Receiver {
  readonly socket: string;
  /** Messages so far, as fields by key. Barriers are left out. */
  readonly messages: readonly Readonly<Record<string, string>>[];
  /** Waits for a message that has these fields. */
  heard(fields: Readonly<Record<string, string | RegExp>>, times?: number): Promise<void>;
}

/** @param socket by default a path in a folder of its own. */
export async function startReceiver(
  context: TestContext,
  socket = join(temporaryFolder(context), 'notify'),
): Promise<Receiver> {
  const child = spawn('python3', ['-c', SCRIPT, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  context.after(() => child.kill('SIGKILL'));
  const messages: Record<string, string>[] = [];
  const lines = createInterface(child.stdout);
  await once(lines, 'line');
  lines.on('line', (line) => {
    const fields = (JSON.parse(line) as string).split('\n').map((field) => field.split(/=(.*)/s, 2));
    const message = Object.fromEntries(fields) as Record<string, string>;
    if (!('BARRIER' in message)) messages.push(message);
  });
  const isHeard = (fields: Readonly<Record<string, string | RegExp>>, message: Record<string, string>) =>
    Object.entries(fields).every(([key, value]) => {
      const actual = message[key];
      return actual !== undefined && (typeof value === 'string' ? actual === value : value.test(actual));
    });
  return {
    socket,
    messages,
    heard: (fields, times = 1) =>
      until(() => messages.filter((message) => isHeard(fields, message)).length >= times),
  };
}
