/** Connections by TLS to a real Mosquitto, with certificates that openssl makes. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import type { LinkOptions } from '../../../agent/serve/mqtt/mqtt-link.js';
import { MqttLink } from '../../../agent/serve/mqtt/mqtt-link.js';
import { temporaryFolder } from '../../fixtures.js';
import { freePort, listening, MOSQUITTO } from '../brokers.js';

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const skip =
  MOSQUITTO === undefined || !hasOpenssl ? 'mosquitto or openssl is not installed' : (false as const);

test('MqttLink shows its certificate to a broker that asks for it, and trusts the authority it was given', {
  skip,
}, async (context) => {
  const folder = temporaryFolder(context);
  makeCertificates(folder);
  const server = await startTls(context, folder);
  const at = (name: string) => join(folder, name);
  const client = { ca: at('ca.pem'), cert: at('client.pem'), key: at('client.key') };
  assert.equal(await outcome(server, client), 'connected');
  assert.match(await outcome(server, { ca: null, cert: null, key: null }), /self-signed|unable to verify/);
  assert.match(await outcome(server, { ...client, ca: at('absent.pem') }), /ENOENT.*absent\.pem/);
  assert.notEqual(await outcome(server, { ...client, cert: null, key: null }), 'connected');
  // A certificate that isn't the host's.
  assert.match(await outcome(server.replace('localhost', '127.0.0.1'), client), /altnames|does not match/i);
});

/** An authority, and what it signed for the broker at `localhost` and for a client. */
function makeCertificates(folder: string): void {
  const run = (...args: readonly string[]) =>
    execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'ignore'] });
  const keyed = (name: string) => ['-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`];
  run('req', '-x509', ...keyed('ca'), '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test authority');
  writeFileSync(join(folder, 'names'), 'subjectAltName=DNS:localhost');
  for (const name of ['server', 'client']) {
    run('req', ...keyed(name), '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'];
    run('x509', '-req', '-in', `${name}.csr`, ...signed, '-extfile', 'names', '-out', `${name}.pem`);
  }
}

async function startTls(context: TestContext, folder: string): Promise<string> {
  const port = await freePort();
  const config = join(folder, 'mosquitto.conf');
  const lines = [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    'persistence false',
    'user root',
    `cafile ${folder}/ca.pem`,
    `certfile ${folder}/server.pem`,
    `keyfile ${folder}/server.key`,
    'require_certificate true',
  ];
  writeFileSync(config, `${lines.join('\n')}\n`);
  const child = spawn(MOSQUITTO ?? '', ['-c', config], { stdio: 'ignore' });
  context.after(() => child.kill('SIGKILL'));
  await listening(port);
  return `mqtts://localhost:${port}`;
}

/** `connected`, or why not. */
async function outcome(server: string, tls: NonNullable<LinkOptions['tls']>): Promise<string> {
  const link = { current: undefined as MqttLink | undefined };
  const said = await new Promise<string>((resolve) => {
    link.current = new MqttLink(
      { server, tls, clientId: 'tls-test', keepaliveSeconds: 30, maxPayloadBytes: 1024 },
      { onConnect: () => resolve('connected'), onOffline: resolve, onMessage: () => undefined },
    );
    link.current.start();
  });
  await link.current?.stop();
  return said;
}
