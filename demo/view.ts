/** Shows the demo: on a terminal as a block that is redrawn in place, otherwise as a line every few seconds. */
import type { DemoState } from './state.js';
import { describeBriefly, describeChange, describeDemo } from './text.js';

interface DemoView {
  /** Shows a state. It is called about once a second. */
  show(state: DemoState): void;
  /** Shows the last state. */
  end(state: DemoState): void;
}

export function createView(stream: NodeJS.WriteStream): DemoView {
  return stream.isTTY ? new BlockView(stream) : new LineView(stream);
}

const LINE_SECONDS = 5;

class BlockView implements DemoView {
  readonly #stream: NodeJS.WriteStream;
  #drawn = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  show(state: DemoState): void {
    const lines = describeDemo(state);
    this.#stream.write(redraw(lines, { drawn: this.#drawn, columns: this.#stream.columns || 80 }));
    this.#drawn = lines.length;
  }

  end(state: DemoState): void {
    this.show(state);
  }
}

/**
 * Text that moves the cursor up over the last block and writes the new one. Lines are cut to the screen's width,
 * since a wrapped line would shift those after it.
 */
export function redraw(
  lines: readonly string[],
  { drawn, columns }: { readonly drawn: number; readonly columns: number },
): string {
  const up = drawn === 0 ? '' : `\x1b[${drawn}A`;
  return `\r${up}${lines.map((line) => `\x1b[2K${line.slice(0, columns)}\n`).join('')}\x1b[J`;
}

class LineView implements DemoView {
  readonly #stream: NodeJS.WriteStream;
  #nextSeconds = LINE_SECONDS;
  #plans = 1;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  show(state: DemoState): void {
    if (state.runs.length > this.#plans) {
      this.#plans = state.runs.length;
      this.#print(describeChange(state.runs));
    }
    if (state.elapsedSeconds < this.#nextSeconds) return;
    this.#nextSeconds += LINE_SECONDS;
    this.#print(describeBriefly(state));
  }

  end(state: DemoState): void {
    this.#print(['', ...describeDemo(state)].join('\n'));
  }

  #print(text: string): void {
    this.#stream.write(`${text}\n`);
  }
}
