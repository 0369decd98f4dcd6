/** The embedded broker's own address, and the errors if it can't listen there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainListenError, localUrl } from '../../../agent/serve/broker/broker-address.js';

test('localUrl() is one that this machine can dial', () => {
  for (const [address, url] of [
    ['127.0.0.1', 'mqtt://127.0.0.1:1883'],
    ['192.168.1.5', 'mqtt://192.168.1.5:1883'],
    ['::1', 'mqtt://[::1]:1883'],
    ['fd00::5', 'mqtt://[fd00::5]:1883'],
    ['0.0.0.0', 'mqtt://127.0.0.1:1883'],
    ['::', 'mqtt://127.0.0.1:1883'],
  ] as const)
    assert.equal(localUrl({ address, port: 1883 }), url);
});

test('explainListenError() names the key of the configuration, its value and what to do', () => {
  const explain = (code: string) =>
    explainListenError(Object.assign(new Error('as the system says'), { code }), {
      host: '10.0.0.9',
      port: 80,
    }).message;
  assert.match(explain('EADDRINUSE'), /mqtt\.listen\.port is 80, .*expected a free port; .*mqtt\.server/);
  assert.match(explain('EACCES'), /mqtt\.listen\.port is 80, .*expected 1024 or more/);
  assert.match(explain('EADDRNOTAVAIL'), /mqtt\.listen\.host is 10\.0\.0\.9, expected an address of this/);
  assert.match(explain('ENOTFOUND'), /mqtt\.listen\.host is 10\.0\.0\.9, a name/);
  assert.equal(explain('EWHAT'), 'Cannot start the embedded broker: 10.0.0.9:80: as the system says');
});
