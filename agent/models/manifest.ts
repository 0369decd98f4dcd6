/** Reads and writes model.yaml, which says how images become a model's input and how its outputs become answers. */
import { parseDocument, stringify } from 'yaml';
import type { Issue, ValueOf } from '../../shared/rules/index.js';
import {
  choice,
  invalid,
  list,
  map,
  matching,
  number,
  orDefault,
  placed,
  refine,
  text,
  valid,
  valueThat,
  variant,
  wholeNumber,
} from '../../shared/rules/index.js';
import { decoderSchema } from '../decode/decoder-schema.js';
import { RESIZES } from '../engine/wire/protocol.js';

const name = text('a name', (value) => value !== '');
const size = wholeNumber(2, 65_536);
/** Values by channel. */
const means = list(number(), { least: 1, most: 4, expected: 'one number for each channel' });
const deviations = list(
  number('a number other than 0', (value) => value !== 0),
  { least: 1, most: 4, expected: 'one number for each channel' },
);

const inputSchema = refine(
  map({
    name,
    width: size,
    height: size,
    channels: choice([1, 3, 4]),
    layout: choice(['nchw', 'nhwc']),
    dtype: choice(['float32', 'float16', 'uint8']),
    resize: choice(RESIZES),
    /** Of a letterbox; Darknet's where it is absent. */
    margin: orDefault(map({ grey: wholeNumber(0, 255), place: choice(['centre', 'top-left']) }), undefined),
    colorOrder: choice(['rgb', 'bgr']),
    /** Value = (byte * scale - mean) / std. */
    scale: number(),
    mean: means,
    std: deviations,
  }),
  (input) => {
    const { channels, mean, std } = input;
    if (mean.length === channels && std.length === channels) return valid(input);
    const expected = `${channels} numbers: mean and std need one value for each channel`;
    return placed('mean', invalid(mean, expected));
  },
);

const isFixedValue = (value: unknown): value is 'ones' | 'size' | readonly number[] =>
  value === 'ones' ||
  value === 'size' ||
  (Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'number'));

/** An input beside the image: ones, the image input's height and width, or numbers that repeat. */
const fixedInputSchema = map({ name, value: valueThat('ones, size or a list of numbers', isFixedValue) });

const digest = matching(/^sha256:[0-9a-f]{64}$/, 'sha256: and 64 hexadecimal digits');

const manifestSchema = map({
  format: choice([1]),
  source: variant('kind', {
    onnx: map({
      kind: choice(['onnx']),
      files: list(text()),
      /** Path of the file when it was imported, and its digest. Older versions didn't write it. */
      origin: orDefault(map({ path: text(), digest }), undefined),
    }),
    darknet: map({ kind: choice(['darknet']), files: list(text()) }),
    synthetic: map({ kind: choice(['synthetic']), files: list(text()) }),
  }),
  digest,
  input: inputSchema,
  fixedInputs: orDefault(list(fixedInputSchema), undefined),
  decoder: decoderSchema,
  labels: list(text()),
});

export type Manifest = ValueOf<typeof manifestSchema>;
export type InputSpec = Manifest['input'];
export type FixedInput = ValueOf<typeof fixedInputSchema>;

const HEADER = `# Written by \`mafat model import\`. These keys may be edited:
# - input: resize, margin, colorOrder, scale, mean, std. A value is (byte * scale - mean) / std; uint8 inputs take the bytes.
# - decoder: threshold, nmsIou, topK; and of outputs that it reads wrong: activated, cellOffset, anchors, levels,
#   cellThreshold, unclip, cut, black, white.
# - fixedInputs: the values of inputs beside the image: ones, size or a list of numbers.
# - labels.
`;

export function formatManifest(manifest: Manifest): string {
  return HEADER + stringify(manifest, { lineWidth: 110 });
}

/** @throws {SyntaxError} naming file, line and key of each fault. */
export function parseManifest(yaml: string, file: string): Manifest {
  const document = parseDocument(yaml);
  const [fault] = document.errors;
  if (fault !== undefined) throw new SyntaxError(`Cannot parse ${file}: ${fault.message}`);
  const checked = manifestSchema(document.toJS());
  if (checked.isValid) return checked.value;
  const problems = checked.issues.map((issue) => {
    const node = document.getIn(issue.path, true) as { range?: readonly number[] } | undefined;
    const line = node?.range === undefined ? '' : `:${yaml.slice(0, node.range[0]).split('\n').length}`;
    return `${file}${line}: ${issue.path.join('.') || 'document'}: ${describeIssue(issue)}`;
  });
  throw new SyntaxError(`Cannot use ${file}:\n  ${problems.join('\n  ')}`);
}

function describeIssue(issue: Issue): string {
  if (issue.kind === 'unknown-key') return `unknown key, expected one of ${issue.known.join(', ')}`;
  return issue.value === undefined ? `is missing, expected ${issue.expected}` : `expected ${issue.expected}`;
}
