/**
 * Writes a network like Yolo-Fastest 1.1 as Darknet text. It has depthwise blocks with shortcuts, a pyramid of pools
 * and two `yolo` heads joined by an upsampling. Source: dog-qiuqiu/Yolo-Fastest, ModelZoo/yolo-fastest-1.1_coco.
 */

interface Convolution {
  readonly filters: number;
  readonly size: number;
  readonly stride?: number;
  readonly groups?: number;
  readonly linear?: boolean;
}

interface Stage {
  readonly inner: number;
  readonly filters: number;
  /** Number of blocks with a shortcut around them. */
  readonly repeats: number;
  /** Stride of the first block, which has no shortcut. */
  readonly stride: 1 | 2;
}

const STAGES: readonly Stage[] = [
  { inner: 24, filters: 8, repeats: 0, stride: 2 },
  { inner: 32, filters: 8, repeats: 2, stride: 1 },
  { inner: 32, filters: 8, repeats: 0, stride: 2 },
  { inner: 48, filters: 8, repeats: 2, stride: 1 },
  { inner: 48, filters: 16, repeats: 0, stride: 1 },
  { inner: 96, filters: 16, repeats: 4, stride: 1 },
  { inner: 96, filters: 24, repeats: 0, stride: 2 },
  { inner: 136, filters: 24, repeats: 4, stride: 1 },
  { inner: 136, filters: 48, repeats: 0, stride: 2 },
  { inner: 224, filters: 48, repeats: 5, stride: 1 },
];

/** Placeholder of the layer that both the last stage and the second head read. */
const NECK_LAYER = '-NECK-';

const ANCHORS = '12,18, 37,49, 52,132, 115,73, 119,199, 242,238';

function convolution({ filters, size, stride = 1, groups = 1, linear = false }: Convolution): string {
  const lines = ['batch_normalize=1', `groups=${groups}`, `filters=${filters}`, `size=${size}`];
  return section('convolutional', [...lines, `stride=${stride}`, 'pad=1', activation(linear)]);
}

function activation(linear: boolean): string {
  return `activation=${linear ? 'linear' : 'leaky'}`;
}

function section(name: string, lines: readonly string[]): string {
  return [`[${name}]`, ...lines].join('\n');
}

function block({ inner, filters, stride }: Omit<Stage, 'repeats'>): readonly string[] {
  return [
    convolution({ filters: inner, size: 1 }),
    convolution({ filters: inner, size: 3, stride, groups: inner }),
    convolution({ filters, size: 1, linear: true }),
  ];
}

function stage({ repeats, ...first }: Stage): readonly string[] {
  const isChange = first.stride === 2 || repeats === 0;
  const repeated = Array.from({ length: repeats }, () => [
    ...block({ ...first, stride: 1 }),
    section('shortcut', ['from=-4', activation(true)]),
  ]);
  return [...(isChange ? block(first) : []), ...repeated.flat()];
}

function pyramid(): readonly string[] {
  const pool = (size: number) => section('maxpool', ['stride=1', `size=${size}`]);
  const route = (layers: string) => section('route', [`layers=${layers}`]);
  return [pool(3), route('-2'), pool(5), route('-4'), pool(9), route('-1,-3,-5,-6')];
}

function head(width: number, mask: string): readonly string[] {
  const depthwise = convolution({ filters: width, size: 5, groups: width });
  const pointwise = convolution({ filters: width, size: 1, linear: true });
  const scores = section('convolutional', ['size=1', 'stride=1', 'pad=1', 'filters=255', activation(true)]);
  const yolo = section('yolo', [`mask=${mask}`, `anchors=${ANCHORS}`, 'classes=80', 'num=6']);
  return [depthwise, pointwise, depthwise, pointwise, scores, yolo];
}

function network(): string {
  const net = section('net', ['width=320', 'height=320', 'channels=3']);
  const stem = [
    convolution({ filters: 8, size: 3, stride: 2 }),
    ...block({ inner: 8, filters: 4, stride: 1 }),
  ];
  const residual = [
    ...block({ inner: 8, filters: 4, stride: 1 }),
    section('shortcut', ['from=-4', activation(true)]),
  ];
  const body = [...stem, ...residual, ...STAGES.flatMap(stage)];
  const layers = [
    ...body,
    ...pyramid(),
    convolution({ filters: 96, size: 1 }),
    ...head(96, '3,4,5'),
    section('route', ['layers=-7']),
    section('upsample', ['stride=2']),
    section('route', [`layers=-1,${NECK_LAYER}`]),
    ...head(120, '0,1,2'),
  ];
  return [net, ...layers].join('\n').replace(NECK_LAYER, String(neckLayer(body)));
}

/** Layer before the last block of stride 2. That block starts with an expansion, one layer before its stride. */
function neckLayer(body: readonly string[]): number {
  return body.findLastIndex((text) => text.includes('stride=2')) - 2;
}

export const YOLO_FASTEST = network();
