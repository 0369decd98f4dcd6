/**
 * A process that takes memory, for bench/service-neighbour.ts. A message names bytes. It takes them in equal steps over a
 * second, answers `taken`, and touches every page again and again, so that the kernel would rather swap out others.
 */
const TAKE_MS = 1000;
const STEPS = 20;
const TOUCH_MS = 200;
const PAGE_BYTES = 4096;

const held: Buffer[] = [];

function take(bytes: number): void {
  let left = STEPS;
  const timer = setInterval(() => {
    held.push(Buffer.alloc(Math.ceil(bytes / STEPS), 1));
    left -= 1;
    if (left > 0) return;
    clearInterval(timer);
    process.send?.('taken');
  }, TAKE_MS / STEPS);
}

function touch(): void {
  for (const buffer of held) for (let at = 0; at < buffer.length; at += PAGE_BYTES) buffer[at] = 1;
}

process.on('message', (bytes: number) => take(bytes));
process.on('disconnect', () => process.exit());
setInterval(touch, TOUCH_MS);
