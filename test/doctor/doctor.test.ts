/** The whole command: on a board as it is, with a real agent and its broker, and with a broken configuration. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { describeFindings } from '../../agent/cli/doctor-command.js';
import { BROKER_CHECKS } from '../../agent/doctor/broker-checks.js';
import { CAMERA_CHECKS } from '../../agent/doctor/camera-checks.js';
import type { Finding } from '../../agent/doctor/check.js';
import { runCheck } from '../../agent/doctor/check.js';
import { runMafat, temporaryFolder } from '../fixtures.js';
import { BROKERS, freePort } from '../serve/brokers.js';
import { startAgent } from '../start-agent.js';
import { surroundingsOf } from './surroundings.js';

interface Report {
  readonly ok: boolean;
  readonly findings: readonly Finding[];
}

function findingsOf({ findings }: Report, check: string): readonly string[] {
  return findings
    .filter((finding) => finding.check === check)
    .map(({ verdict, text }) => `${verdict}: ${text}`);
}

test('mafat doctor looks at a running agent, its models and its embedded broker', async (context) => {
  const port = await freePort();
  const agent = startAgent(context, { port, server: 'embedded' });
  await agent.logged('plans of the model known');
  const config = join(agent.folder, 'agent.yaml');
  const { stdout, stderr } = runMafat(join(agent.folder, 'models'), 'doctor', '--config', config, '--json');
  assert.equal(stderr, '');
  const report = JSON.parse(stdout) as Report;
  assert.deepEqual(findingsOf(report, 'model detector'), ['ok: files are whole; plans are in the store']);
  assert.deepEqual(findingsOf(report, 'cameras'), ['ok: cam (synthetic)']);
  assert.deepEqual(findingsOf(report, 'broker'), [`ok: mqtt://127.0.0.1:${port} answers by MQTT 3.1.1`]);
  assert.match(
    findingsOf(report, 'node reports')[0] ?? '',
    /^ok: node "test" is online, last report \d s ago$/,
  );
  const [, answers] = findingsOf(report, 'broker rights');
  assert.equal(answers, 'ok: a client cannot read answers to others');
  assert.equal(await agent.stop(), 0);
});

for (const { name, skip, start } of BROKERS.filter((broker) => broker.name === 'Mosquitto')) {
  test(`mafat doctor says that anyone reads requests at an open ${name}`, { skip }, async (context) => {
    const broker = await start(await freePort());
    context.after(() => broker.stop());
    const folder = temporaryFolder(context);
    const config = join(folder, 'agent.yaml');
    writeFileSync(config, `node: test\nmqtt: { server: '${broker.url}', username: u, password: geheim }\n`);
    const { code, stdout } = runMafat(join(folder, 'models'), 'doctor', '--config', config, '--json');
    assert.equal(code, 1);
    assert.doesNotMatch(stdout, /geheim/);
    const report = JSON.parse(stdout) as Report;
    assert.equal(report.ok, false);
    assert.match(findingsOf(report, 'node reports')[0] ?? '', /^warning: node "test" has no reports/);
    assert.deepEqual(findingsOf(report, 'broker rights'), [
      'error: a client without a login can read requests of others, with their images',
      'error: a client without a login can read answers to others',
    ]);
  });
}

test('mafat doctor names a broker that takes connections and says nothing', async (context) => {
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  context.after(() => silent.close());
  const { port } = silent.address() as AddressInfo;
  const yaml = `mqtt: { server: 'mqtt://127.0.0.1:${port}' }`;
  const [reach] = BROKER_CHECKS;
  assert.ok(reach !== undefined);
  const [finding] = await runCheck(reach, surroundingsOf(context, {}, { yaml }));
  assert.equal(finding?.verdict, 'error');
  assert.match(finding?.text ?? '', /: no answer within 4 s$/);
});

test('mafat doctor names the faults of a configuration and looks at the board all the same', (context) => {
  const folder = temporaryFolder(context);
  const config = join(folder, 'agent.yaml');
  writeFileSync(config, 'mqtt: { usernam: u, password: geheim }\n');
  const { code, stdout, stderr } = runMafat(join(folder, 'models'), 'doctor', '--config', config);
  assert.deepEqual([code, stderr], [1, '']);
  assert.match(stdout, /^error {4}configuration {2}Cannot use .*\n {24}.*:1: mqtt.usernam: .*username/m);
  assert.match(stdout, /^ok {7}Node.js/m);
  assert.doesNotMatch(stdout, /geheim|^\S+ +broker/m);
});

test('runCheck() turns what is thrown and what takes too long into findings', async (context) => {
  const surroundings = surroundingsOf(context, {});
  const broken = { name: 'a', run: () => Promise.reject(new Error('odd')) };
  const hanging = { name: 'b', run: () => new Promise<never>(() => undefined) };
  assert.match((await runCheck(broken, surroundings))[0]?.text ?? '', /^not looked at: odd$/);
  assert.match((await runCheck(hanging, surroundings, 50))[0]?.text ?? '', /^no answer within 0.05 s$/);
});

test('describeFindings() puts the next step below its line', () => {
  const text = describeFindings([
    { check: 'a', verdict: 'ok', text: 'fine' },
    { check: 'long', verdict: 'warning', text: 'one\ntwo', next: 'do it' },
  ]);
  assert.equal(
    text,
    ['ok       a     fine', 'warning  long  one', '               two', '               next: do it'].join(
      '\n',
    ),
  );
});

test('a camera’s program that hangs doesn’t keep the doctor', async (context) => {
  const folder = temporaryFolder(context);
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'ffmpeg'), '#!/bin/sh\nexec sleep 60\n');
  chmodSync(join(bin, 'ffmpeg'), 0o755);
  const surroundings = surroundingsOf(context, {}, { env: { PATH: `${bin}:/usr/bin:/bin` } });
  const startMs = performance.now();
  for (const check of CAMERA_CHECKS) await runCheck(check, surroundings);
  assert.ok(performance.now() - startMs < 4500);
});
