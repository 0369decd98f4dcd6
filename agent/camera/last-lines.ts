/** The last lines that a command wrote to its standard error: a few, each of bounded length. */

const MAX_LINES = 3;
const MAX_LINE_LENGTH = 200;

/** A longer line is left out: cut, it could show a part of a password that isn't known as one. */
const MAX_UNSHOWN_LENGTH = 4096;

export class LastLines {
  readonly #show: (line: string) => string | undefined;
  #lines: readonly string[] = [];
  #rest = '';
  /** Whether the beginning of the next line is lost. */
  #isCut = false;

  /** @param show what a person may see of a line, without credentials; undefined for nothing. */
  constructor(show: (line: string) => string | undefined) {
    this.#show = show;
  }

  /** The lines in their order; empty if nothing was said. */
  get text(): string {
    return this.#lines.join('; ');
  }

  /** Adds the next part of the output. */
  add(part: string): void {
    const lines = (this.#rest + part).split(/[\r\n]+/);
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!this.#isCut) this.#addLine(line);
      this.#isCut = false;
    }
    if (this.#rest.length <= MAX_UNSHOWN_LENGTH) return;
    this.#rest = '';
    this.#isCut = true;
  }

  /** Adds a last line that has no end. */
  end(): void {
    if (!this.#isCut) this.#addLine(this.#rest);
    this.#rest = '';
    this.#isCut = false;
  }

  /** The same line again and again is kept once. */
  #addLine(line: string): void {
    if (line.length > MAX_UNSHOWN_LENGTH) return;
    const shown = this.#show(line)?.trim().slice(0, MAX_LINE_LENGTH);
    if (shown === undefined || shown === '') return;
    this.#lines = [...this.#lines.filter((known) => known !== shown), shown].slice(-MAX_LINES);
  }
}
