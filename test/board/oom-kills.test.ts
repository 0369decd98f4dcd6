import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countOomKills } from '../../agent/board/oom-kills.js';
import { fakeTree } from './fake-tree.js';

test('countOomKills() reads the count, and nothing where the kernel does not count', (context) => {
  const rootOf = (vmstat: string) => fakeTree(context, { 'proc/vmstat': vmstat });
  assert.equal(countOomKills(rootOf('nr_free_pages 5\noom_kill 3\npgfault 9\n')), 3);
  assert.equal(countOomKills(rootOf('nr_free_pages 5\n')), undefined);
  assert.equal(countOomKills('/nonexistent'), undefined);
});
