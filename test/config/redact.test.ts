import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { redact, secretsOf } from '../../agent/config/redact.js';

test('redact() leaves scheme, host and port of URLs alone', () => {
  const cases = [
    ['rtsp://me:pw@cam.local:554/live?token=abc', 'rtsp://cam.local:554/***'],
    ["Error opening 'http://10.0.0.7/a/b': refused", "Error opening 'http://10.0.0.7/*** refused"],
    ['tcp://127.0.0.1:80: Connection refused', 'tcp://127.0.0.1:80 Connection refused'],
    ['rtsp://me:p/w@host/x', 'rtsp://***'],
    ['rtsp://me:p#w@host/x', 'rtsp://***'],
    ['rtsp://host/live@2', 'rtsp://***'],
    ['rtsp://me:p@w@[fe80::1]:8554/x', 'rtsp://[fe80::1]:8554/***'],
    ['udp://@239.0.0.1:1234', 'udp://239.0.0.1:1234'],
    ['no URL at all', 'no URL at all'],
    ['a file:name', 'a file:name'],
  ] as const;
  for (const [text, expected] of cases) assert.equal(redact(text), expected);
});

test('redact() hides what follows a word that names a secret', () => {
  for (const text of ['Authorization: Basic xyz', 'password=xyz', 'my_token = xyz', 'Cookie: a=xyz; b=xyz'])
    assert.doesNotMatch(redact(text), /xyz/, text);
  const plain = 'method DESCRIBE failed: 401 Unauthorized';
  assert.equal(redact(plain), plain);
});

test('redact() hides parts of a known URL wherever they stand', () => {
  const url = 'rtsp://admin:s%40cret@host/stream/key123?x=1';
  const secrets = secretsOf(url, ['-headers', 'X-Auth: abcdef', '-rtsp_transport', 'udp']);
  for (const text of ['user admin', 'it is s@cret', 'GET /stream/key123?x=1', 'sent abcdef', 's%40cret']) {
    assert.match(redact(text, secrets), /\*\*\*/, text);
    assert.doesNotMatch(redact(text, secrets), /admin|cret|key123|abcdef/, text);
  }
  assert.equal(redact('transport udp failed', secrets), 'transport udp failed');
});

test('redact() never shows a password of a URL, whatever it is made of', () => {
  const part = fc
    .string({ minLength: 3, maxLength: 12, unit: 'grapheme-ascii' })
    .filter((text) => !/\s/.test(text));
  fc.assert(
    fc.property(part, (password) => {
      const url = `rtsp://user:${password}@camera.example:554/live`;
      const secrets = secretsOf(url);
      for (const text of [url, `Error opening input: ${url}: Invalid data`, `cannot use '${password}'`])
        assert.ok(
          !redact(text, secrets)
            .replaceAll('*', '')
            .includes(password.replaceAll('*', '') || '\n'),
          text,
        );
    }),
  );
});
