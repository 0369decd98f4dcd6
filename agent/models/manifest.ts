/** Reads and writes model.yaml, which says how images become a model's input and how its outputs become answers. */
import { parseDocument, stringify } from 'yaml';
import { z } from 'zod';

const positive = z.int().positive();
/** Values by channel. */
const perChannel = z.array(z.number()).min(1).max(3);

const inputSchema = z
  .strictObject({
    name: z.string().min(1),
    width: z.int().min(2).max(65536),
    height: z.int().min(2).max(65536),
    channels: z.union([z.literal(1), z.literal(3)]),
    layout: z.enum(['nchw', 'nhwc']),
    dtype: z.enum(['float32', 'uint8']),
    resize: z.enum(['stretch', 'letterbox']),
    colorOrder: z.enum(['rgb', 'bgr']),
    /** Value = (byte * scale - mean) / std. */
    scale: z.number(),
    mean: perChannel,
    std: perChannel.refine((values) => values.every((value) => value !== 0), 'must not be 0'),
  })
  .refine(({ channels, mean, std }) => mean.length === channels && std.length === channels, {
    path: ['mean'],
    error: 'mean and std need one value for each channel',
  });

const headSchema = z.strictObject({
  kind: z.enum(['region', 'yolo']),
  output: z.string().min(1),
  classes: positive,
  anchors: z.array(z.strictObject({ width: z.number().positive(), height: z.number().positive() })).min(1),
  scaleXY: z.number(),
  softmax: z.boolean(),
  newCoords: z.boolean(),
});

const ratio = z.number().min(0).max(1);

const decoderSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('darknet'),
    threshold: ratio,
    nmsIou: ratio,
    heads: z.array(headSchema).min(1),
  }),
  z.strictObject({
    kind: z.literal('classes'),
    output: z.string().min(1),
    topK: positive,
    softmax: z.boolean(),
  }),
  z.strictObject({ kind: z.literal('raw') }),
]);

const manifestSchema = z.strictObject({
  format: z.literal(1),
  source: z.strictObject({ kind: z.enum(['onnx', 'darknet', 'synthetic']), files: z.array(z.string()) }),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  input: inputSchema,
  decoder: decoderSchema,
  labels: z.array(z.string()),
});

export type Manifest = z.infer<typeof manifestSchema>;
export type InputSpec = Manifest['input'];
export type Decoder = Manifest['decoder'];

const HEADER = `# Written by \`mafat model import\`. These keys may be edited:
# - input: resize, colorOrder, scale, mean, std. A value is (byte * scale - mean) / std; uint8 inputs take the bytes.
# - decoder: threshold, nmsIou, topK.
# - labels.
`;

export function formatManifest(manifest: Manifest): string {
  return HEADER + stringify(manifest, { lineWidth: 110 });
}

/** @throws {SyntaxError} naming file, line and key of each fault. */
export function parseManifest(text: string, file: string): Manifest {
  const document = parseDocument(text);
  const [fault] = document.errors;
  if (fault !== undefined) throw new SyntaxError(`Cannot parse ${file}: ${fault.message}`);
  const result = manifestSchema.safeParse(document.toJS());
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => {
    const node = document.getIn(path, true) as { range?: readonly number[] } | undefined;
    const line = node?.range === undefined ? '' : `:${text.slice(0, node.range[0]).split('\n').length}`;
    return `${file}${line}: ${path.join('.') || 'document'}: ${message}`;
  });
  throw new SyntaxError(`Cannot use ${file}:\n  ${problems.join('\n  ')}`);
}
