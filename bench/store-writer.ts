/**
 * The process that bench/store-kills kills: opens a store as the agent does, and writes generations to it until its end.
 * It prints a line when it begins to open the file, and the number of each generation that was written.
 */
import { writeSync } from 'node:fs';
import { Store } from '../agent/store/store.js';
import { writeGeneration } from './store-content.js';

const STDOUT = 1;

const [path = '', confirmed = '0'] = process.argv.slice(2);

/** A write that returns is in the pipe, so it outlives the process. */
function say(text: string | number): void {
  writeSync(STDOUT, `${text}\n`);
}

const store = new Store(path, { replaces: true, onError: (error) => say(`error: ${error.message}`) });
say('opening');
store.start();
if (store.problem !== undefined) say(`error: ${store.problem.reason}`);
for (let generation = Number(confirmed) + 1; ; generation += 1) {
  writeGeneration(store, generation);
  say(generation);
}
