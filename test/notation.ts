/**
 * Graphs in one line, so that a test case is one line.
 *
 * `3x32x32: c8k3p1 r m2s2 @1 c4k1 &3 !` is an input of 3 x 32 x 32 and one tensor a word; the input is
 * tensor 0. Every word but `@` and `!` takes the current tensor and makes a new one, which is then current:
 *
 * - `c8k3s2p1d2g4` convolution: filters, kernel, stride, pads (`p1` or `p1.0.2.1`: top, left, bottom, right),
 *   dilation, groups; with a bias
 * - `w8k4s2p1d2g4o1` transposed convolution; `o` is the output padding
 * - `m3s2p1` max-pool, `a3s2p1` average-pool; `^` for ceil mode, `+` for count_include_pad
 * - `r` Relu, `l` LeakyRelu, `t` Tanh, `h` HardSwish; `*` per-channel Mul by a constant
 * - `u2` nearest and `v2` linear upsampling, `i2` linear downsampling, `d2` DepthToSpace, `s2` SpaceToDepth
 * - `z1` zero Pad on all sides, `z1~` reflects and `z1=` repeats the border, `z-1` crops
 * - `q2.1.3` every second row and column from the first on, without the last three
 * - `f2` every second channel's first part: Slice of that many channels
 * - `+3` adds, `x3` multiplies, `&3` concatenates tensor 3; `e` squeeze-excites (a barrier and a gate)
 * - `@3` makes tensor 3 current, `!` makes the current tensor an output; tensors that nothing reads are, too
 */
import { mulberry32 } from '../shared/darknet/index.js';
import type { Feature, Graph, Window } from '../shared/graph/index.js';
import { GraphBuilder, windowRowsOut } from '../shared/graph/index.js';

/** @throws {SyntaxError} for words that don't fit; {RangeError} for maps that would be empty. */
export function graphOf(notation: string, seed = 1): Graph {
  const [head = '', body = ''] = notation.split(':');
  const [channels = 0, rows = 0, cols = 0] = head.trim().split('x').map(Number);
  return new NotationReader({ channels, rows, cols }, seed).read(body.trim().split(/\s+/));
}

class NotationReader {
  readonly #builder = new GraphBuilder();
  readonly #random: () => number;
  readonly #features: Feature[];
  readonly #outputs: number[] = [];
  #layer = 0;
  #current: Feature;

  constructor(image: Omit<Feature, 'tensor'>, seed: number) {
    const tensor = this.#builder.addInput('image', [1, image.channels, image.rows, image.cols]);
    this.#random = mulberry32(seed);
    this.#current = { ...image, tensor };
    this.#features = [this.#current];
  }

  read(words: readonly string[]): Graph {
    for (const word of words) this.#readWord(word);
    const graph = this.#builder.build('notation', []);
    const read = new Set(graph.nodes.flatMap(({ inputs }) => inputs));
    const ends = graph.nodes.flatMap(({ outputs }) => outputs).filter((index) => !read.has(index));
    return { ...graph, outputs: [...new Set([...this.#outputs, ...ends])] };
  }

  #readWord(word: string): void {
    if (word === '!') {
      if (this.#current !== this.#features[0]) this.#outputs.push(this.#current.tensor);
      return;
    }
    if (word.startsWith('@')) {
      this.#current = this.#feature(Number(word.slice(1)));
      return;
    }
    this.#current = this.#build(word);
    this.#features.push(this.#current);
    this.#layer += 1;
  }

  #feature(at: number): Feature {
    const feature = this.#features[at];
    if (feature === undefined) throw new SyntaxError(`no tensor ${at}: there are ${this.#features.length}`);
    return feature;
  }

  #build(word: string): Feature {
    const kind = word[0] ?? '';
    const value = Number(word.slice(1));
    const { channels, rows, cols } = this.#current;
    switch (kind) {
      case 'c':
        return this.#convolution(word);
      case 'w':
        return this.#transposedConvolution(word);
      case 'm':
      case 'a':
        return this.#pool(word);
      case 'r':
        return this.#node('Relu');
      case 'l':
        return this.#node('LeakyRelu');
      case 't':
        return this.#node('Tanh');
      case 'h':
        return this.#node('HardSwish');
      case '*':
        return this.#node('Mul', { inputs: [this.#constant([1, channels, 1, 1])] });
      case '+':
        return this.#node('Add', { inputs: [this.#partner(value, { channels }).tensor] });
      case 'x':
        return this.#node('Mul', { inputs: [this.#partner(value, { channels }).tensor] });
      case '&': {
        const other = this.#partner(value);
        const feature = { channels: channels + other.channels, rows, cols };
        return this.#node('Concat', { inputs: [other.tensor], attributes: { axis: 1 }, feature });
      }
      case 'u':
      case 'v':
        return this.#resize(kind === 'u' ? 'nearest' : 'linear', value);
      case 'i':
        return this.#resize('linear', 1 / value);
      case 'd': {
        const feature = { channels: channels / value ** 2, rows: rows * value, cols: cols * value };
        return this.#node('DepthToSpace', { attributes: { blocksize: value }, feature });
      }
      case 's': {
        const feature = { channels: channels * value ** 2, rows: rows / value, cols: cols / value };
        return this.#node('SpaceToDepth', { attributes: { blocksize: value }, feature });
      }
      case 'z':
        return this.#pad(word);
      case 'q':
        return this.#stepOver(word);
      case 'f':
        return this.#slice(value);
      case 'e':
        return this.#squeezeExcite();
      default:
        throw new SyntaxError(`unknown word "${word}"`);
    }
  }

  #node(op: string, { inputs = [], attributes = {}, feature }: NodeOptions = {}): Feature {
    const shape = feature ?? this.#current;
    if (
      shape.rows < 1 ||
      shape.cols < 1 ||
      ![shape.channels, shape.rows, shape.cols].every(Number.isInteger)
    ) {
      throw new RangeError(`${op} would give ${shape.channels}x${shape.rows}x${shape.cols}`);
    }
    const { channels, rows, cols } = shape;
    return this.#builder.addMap(
      this.#layer,
      { op, inputs: [this.#current.tensor, ...inputs], attributes },
      { channels, rows, cols },
    );
  }

  /** Tensor to join the current one with. */
  #partner(at: number, { channels }: { channels?: number } = {}): Feature {
    const other = this.#feature(at);
    const { rows, cols } = this.#current;
    if (other.rows !== rows || other.cols !== cols || (channels ?? other.channels) !== other.channels) {
      throw new RangeError(`tensor ${at} is no partner for ${rows}x${cols}`);
    }
    return other;
  }

  #constant(shape: readonly number[]): number {
    const length = shape.reduce((product, dim) => product * dim, 1);
    const fanIn = Math.max(
      1,
      shape.slice(1).reduce((product, dim) => product * dim, 1),
    );
    const values = Float32Array.from({ length }, () => (this.#random() * 2 - 1) * Math.sqrt(3 / fanIn));
    return this.#builder.addConstant(`constant${this.#layer}.${this.#random()}`, values, shape);
  }

  #integers(...values: readonly number[]): number {
    const name = `integers${this.#layer}.${this.#random()}`;
    return this.#builder.addConstant(name, BigInt64Array.from(values.map(BigInt)), [values.length]);
  }

  #convolution(word: string): Feature {
    const filters = option(word, 'c', 1);
    const groups = option(word, 'g', 1);
    const { rows, cols, kernel, attributes } = windows(word, option(word, 'k', 1));
    const { channels } = this.#current;
    if (channels % groups !== 0 || filters % groups !== 0) throw new RangeError(`groups of ${word}`);
    const inputs = [this.#constant([filters, channels / groups, kernel, kernel]), this.#constant([filters])];
    return this.#node('Conv', {
      inputs,
      attributes: { ...attributes, group: groups },
      feature: {
        channels: filters,
        rows: windowRowsOut(this.#current.rows, rows),
        cols: windowRowsOut(this.#current.cols, cols),
      },
    });
  }

  #transposedConvolution(word: string): Feature {
    const filters = option(word, 'w', 1);
    const groups = option(word, 'g', 1);
    const added = option(word, 'o', 0);
    const { rows, cols, kernel, attributes } = windows(word, option(word, 'k', 1));
    const { channels } = this.#current;
    if (channels % groups !== 0 || filters % groups !== 0) throw new RangeError(`groups of ${word}`);
    // ONNX Runtime wants less than the stride or the dilation.
    if (added >= Math.max(rows.stride, rows.dilation)) throw new RangeError(`output padding of ${word}`);
    const inputs = [this.#constant([channels, filters / groups, kernel, kernel]), this.#constant([filters])];
    const sizeOf = (size: number, { stride, dilation, padBegin, padEnd }: Window) =>
      (size - 1) * stride + (kernel - 1) * dilation + 1 + added - padBegin - padEnd;
    return this.#node('ConvTranspose', {
      inputs,
      attributes: { ...attributes, group: groups, output_padding: [added, added] },
      feature: {
        channels: filters,
        rows: sizeOf(this.#current.rows, rows),
        cols: sizeOf(this.#current.cols, cols),
      },
    });
  }

  #pool(word: string): Feature {
    const average = word.startsWith('a');
    const ceil = word.includes('^');
    const { rows, cols, attributes } = windows(word, option(word, word[0] ?? '', 1));
    const { dilations: _, ...poolAttributes } = attributes;
    const modes = {
      ceil_mode: ceil ? 1 : 0,
      ...(average ? { count_include_pad: word.includes('+') ? 1 : 0 } : {}),
    };
    return this.#node(average ? 'AveragePool' : 'MaxPool', {
      attributes: { ...poolAttributes, ...modes },
      feature: {
        channels: this.#current.channels,
        rows: windowRowsOut(this.#current.rows, { ...rows, ceil }),
        cols: windowRowsOut(this.#current.cols, { ...cols, ceil }),
      },
    });
  }

  #resize(mode: 'nearest' | 'linear', factor: number): Feature {
    const { channels } = this.#current;
    const [rows, cols] = [this.#current.rows, this.#current.cols].map((size) => Math.floor(size * factor));
    const name = `scales${this.#layer}`;
    const scales = this.#builder.addConstant(name, Float32Array.of(1, 1, factor, factor), [4]);
    const attributes = { mode, coordinate_transformation_mode: 'half_pixel' };
    return this.#node('Resize', {
      inputs: [-1, scales],
      attributes,
      feature: { channels, rows: rows ?? 0, cols: cols ?? 0 },
    });
  }

  #pad(word: string): Feature {
    const size = Number.parseInt(word.slice(1), 10);
    const mode = word.endsWith('~') ? 'reflect' : word.endsWith('=') ? 'edge' : 'constant';
    const { channels, rows, cols } = this.#current;
    // ONNX Runtime fails where a border would be mirrored that the map doesn't have.
    if (mode === 'reflect' && size >= Math.min(rows, cols))
      throw new RangeError(`${rows}x${cols} for ${word}`);
    const inputs = [this.#integers(0, 0, size, size, 0, 0, size, size)];
    const feature = { channels, rows: rows + 2 * size, cols: cols + 2 * size };
    return this.#node('Pad', { inputs, attributes: { mode }, feature });
  }

  #stepOver(word: string): Feature {
    const [step = 1, start = 0, cut = 0] = word.slice(1).split('.').map(Number);
    const { channels, rows, cols } = this.#current;
    const end = cut === 0 ? 2 ** 31 - 1 : -cut;
    const bounds = [
      [start, start],
      [end, end],
      [2, 3],
      [step, step],
    ] as const;
    const sizeOf = (size: number) => Math.ceil((size - start - cut) / step);
    return this.#node('Slice', {
      inputs: bounds.map((values) => this.#integers(...values)),
      feature: { channels, rows: sizeOf(rows), cols: sizeOf(cols) },
    });
  }

  #slice(channels: number): Feature {
    const { rows, cols } = this.#current;
    const inputs = [this.#integers(0), this.#integers(channels), this.#integers(1)];
    return this.#node('Slice', { inputs, feature: { channels, rows, cols } });
  }

  /** Global average -> 1x1 convolution -> sigmoid -> channelwise product with the map. */
  #squeezeExcite(): Feature {
    const map = this.#current;
    const squeezed = this.#node('GlobalAveragePool', {
      feature: { channels: map.channels, rows: 1, cols: 1 },
    });
    this.#current = squeezed;
    const weights = this.#constant([map.channels, map.channels, 1, 1]);
    this.#current = this.#node('Conv', { inputs: [weights], attributes: { kernel_shape: [1, 1] } });
    const gate = this.#node('Sigmoid');
    this.#current = map;
    return this.#node('Mul', { inputs: [gate.tensor] });
  }
}

interface NodeOptions {
  readonly inputs?: readonly number[];
  readonly attributes?: Readonly<Record<string, number | string | readonly number[]>>;
  readonly feature?: Omit<Feature, 'tensor'>;
}

function option(word: string, letter: string, fallback: number): number {
  const match = new RegExp(`${letter}(\\d+)`).exec(word);
  return match === null ? fallback : Number(match[1]);
}

function windows(word: string, kernel: number) {
  const stride = option(word, 's', 1);
  const dilation = option(word, 'd', 1);
  const given = /p([\d.]+)/.exec(word)?.[1]?.split('.').map(Number) ?? [0];
  const [top = 0, left = top, bottom = top, right = top] = given;
  const window = (padBegin: number, padEnd: number): Window => ({
    kernel,
    stride,
    dilation,
    padBegin,
    padEnd,
  });
  return {
    kernel,
    rows: window(top, bottom),
    cols: window(left, right),
    attributes: {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      dilations: [dilation, dilation],
      pads: [top, left, bottom, right],
    },
  };
}
