/** The options of all ranges between two cuts at the costs of one way to run, and the least latency they allow. */
import type { Work } from '../memory/device-profile.js';
import { latencyOf } from '../memory/device-profile.js';
import { stepRatio } from '../memory/predict.js';
import type { Malloc } from '../memory/run-settings.js';
import type { RangeOption } from './range-option.js';
import type { RangeShapes } from './range-shapes.js';

export interface TableOptions {
  /** Nanoseconds a unit of work. */
  readonly costs: Work;
  readonly malloc: Malloc;
}

export class RangeTable {
  readonly shapes: RangeShapes;
  readonly #settings: TableOptions;
  readonly #options = new Map<number, readonly RangeOption[]>();
  readonly #least: number[] = [];

  constructor(shapes: RangeShapes, settings: TableOptions) {
    this.shapes = shapes;
    this.#settings = settings;
  }

  /** Options between two cuts, given by their place in `cuts`; those that another one beats are left out. */
  optionsOf(start: number, end: number): readonly RangeOption[] {
    const key = start * this.shapes.cuts.length + end;
    const known = this.#options.get(key);
    if (known !== undefined) return known;
    const { costs, malloc } = this.#settings;
    const all = this.shapes.between(start, end).map((shape) => ({
      ...shape,
      stepBytes: shape.stepBytes * stepRatio(shape.mode.kind, { malloc }),
      latencyMs: latencyOf(shape.work, costs),
    }));
    const options = withoutDominated(all);
    this.#options.set(key, options);
    return options;
  }

  /** Least latency from a cut to the end, whatever memory that takes. */
  leastLatency(start: number): number {
    if (this.#least.length === 0) {
      const last = this.shapes.cuts.length - 1;
      this.#least[last] = 0;
      for (let at = last - 1; at >= 0; at -= 1) {
        let least = Number.POSITIVE_INFINITY;
        for (let end = at + 1; end <= last; end += 1) {
          for (const { latencyMs } of this.optionsOf(at, end)) {
            least = Math.min(least, latencyMs + (this.#least[end] ?? 0));
          }
        }
        this.#least[at] = least;
      }
    }
    return this.#least[start] ?? 0;
  }
}

/** Options that no other one beats in latency, held bytes and largest step alike. */
function withoutDominated(options: readonly RangeOption[]): readonly RangeOption[] {
  return options.filter(
    (option, at) => !options.some((other, otherAt) => otherAt !== at && beats(other, option, otherAt < at)),
  );
}

function beats(a: RangeOption, b: RangeOption, first: boolean): boolean {
  const noWorse =
    a.latencyMs <= b.latencyMs &&
    a.heldBytes <= b.heldBytes &&
    a.stepBytes <= b.stepBytes &&
    Number(a.parted) <= Number(b.parted) &&
    (b.flow === undefined || a.flow !== undefined);
  const isSame = a.latencyMs === b.latencyMs && a.heldBytes === b.heldBytes && a.stepBytes === b.stepBytes;
  return noWorse && (!isSame || first);
}
