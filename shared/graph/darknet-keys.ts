/**
 * Which keys of which section are understood, and which only matter for training.
 *
 * A key in neither list is an error: it might change the result, and a network that runs with a wrong
 * result is worse than one that doesn't run. Source: Darknet's parser.c, both of pjreddie and AlexeyAB.
 */
import type { DarknetSection } from './darknet-config.js';
import { describeSection } from './darknet-config.js';

interface SectionKeys {
  readonly used: readonly string[];
  readonly training: readonly string[];
  /** Keys that change the result and aren't supported, with the value that means "off". */
  readonly offOnly?: Readonly<Record<string, string>>;
}

const ANY_TRAINING = [
  'stopbackward',
  'onlyforward',
  'train_only_bn',
  'burnin_update',
  'learning_rate',
  'clip',
];

const HEAD_TRAINING = [
  ...['jitter', 'resize', 'random', 'rescore', 'thresh', 'ignore_thresh', 'truth_thresh', 'absolute', 'max'],
  ...[
    'bias_match',
    'object_scale',
    'noobject_scale',
    'class_scale',
    'coord_scale',
    'mask_scale',
    'focal_loss',
  ],
  ...['iou_thresh', 'iou_loss', 'iou_normalizer', 'cls_normalizer', 'obj_normalizer', 'delta_normalizer'],
  ...['label_smooth_eps', 'objectness_smooth', 'max_delta', 'counters_per_class', 'iou_thresh_kind'],
  ...['nms_kind', 'beta_nms', 'show_details', 'map', 'cutmix', 'mosaic'],
];

const SECTIONS: ReadonlyMap<string, SectionKeys> = new Map(
  Object.entries<SectionKeys>({
    net: {
      used: ['width', 'height', 'channels', 'letter_box'],
      training: [
        ...[
          'batch',
          'subdivisions',
          'momentum',
          'decay',
          'learning_rate',
          'burn_in',
          'max_batches',
          'policy',
        ],
        ...[
          'steps',
          'scales',
          'step',
          'scale',
          'power',
          'gamma',
          'seq_scales',
          'angle',
          'saturation',
          'exposure',
        ],
        ...[
          'hue',
          'aspect',
          'max_crop',
          'min_crop',
          'crop',
          'center',
          'flip',
          'blur',
          'gaussian_noise',
          'mixup',
        ],
        ...[
          'cutmix',
          'mosaic',
          'mosaic_bound',
          'contrastive',
          'adam',
          'B1',
          'B2',
          'eps',
          'random',
          'time_steps',
        ],
        ...['track', 'augment_speed', 'notruth', 'optimized_memory', 'workspace_size_limit_MB', 'ema_alpha'],
        ...['weights_reject_freq', 'equidistant_point', 'badlabels_rejection_percentage', 'max_chart_loss'],
        ...[
          'num_sigmas_reject_badlabels',
          'try_fix_nan',
          'loss_scale',
          'dynamic_minibatch',
          'sequential_subdivisions',
        ],
        ...[
          'init_sequential_subdivisions',
          'adversarial_lr',
          'attention',
          'reset',
          'sgdr_cycle',
          'sgdr_mult',
        ],
        ...['label_smooth_eps', 'resize_step', 'show_receptive_field', 'cudnn_half', 'log_step', 'hierarchy'],
      ],
    },
    convolutional: {
      used: [
        ...[
          'batch_normalize',
          'filters',
          'groups',
          'size',
          'stride',
          'stride_x',
          'stride_y',
          'pad',
          'padding',
        ],
        ...['dilation', 'activation'],
      ],
      training: [...ANY_TRAINING, 'cbn', 'grad_centr', 'reverse', 'dot'],
      offOnly: {
        ...{
          binary: '0',
          xnor: '0',
          bin_output: '0',
          flipped: '0',
          antialiasing: '0',
          share_index: '',
          deform: '0',
        },
        ...{ sway: '0', rotate: '0', stretch: '0', stretch_sway: '0', angle: '0', assisted_excitation: '0' },
        ...{ dontload: '0', dontloadscales: '0', use_bin_output: '0', coordconv: '0' },
      },
    },
    maxpool: {
      used: ['size', 'stride', 'stride_x', 'stride_y', 'padding'],
      training: ANY_TRAINING,
      offOnly: { maxpool_depth: '0', antialiasing: '0' },
    },
    avgpool: { used: [], training: ANY_TRAINING },
    route: { used: ['layers', 'groups', 'group_id'], training: ANY_TRAINING },
    shortcut: {
      used: ['from', 'activation'],
      training: ANY_TRAINING,
      offOnly: { weights_type: 'none', weights_normalization: 'none', alpha: '1', beta: '1' },
    },
    upsample: { used: ['stride'], training: ANY_TRAINING, offOnly: { scale: '1' } },
    reorg: { used: ['stride'], training: ANY_TRAINING, offOnly: { reverse: '0', flatten: '0', extra: '0' } },
    dropout: {
      used: [],
      training: [...ANY_TRAINING, 'probability', 'dropblock', 'dropblock_size_rel', 'dropblock_size_abs'],
    },
    softmax: {
      used: ['groups', 'temperature'],
      training: ANY_TRAINING,
      offOnly: { spatial: '0', tree: '', noloss: '0' },
    },
    region: {
      used: ['anchors', 'classes', 'num', 'softmax', 'background'],
      training: HEAD_TRAINING,
      offOnly: { coords: '4', tree: '' },
    },
    yolo: {
      used: ['mask', 'anchors', 'classes', 'num', 'scale_x_y', 'new_coords'],
      training: HEAD_TRAINING,
      offOnly: { embedding_layer: '', embedding_size: '' },
    },
  }),
);

/** @throws {SyntaxError} naming the section or the key that isn't supported. */
export function checkKeys(section: DarknetSection): void {
  const keys = SECTIONS.get(section.kind);
  if (keys === undefined) {
    const known = [...SECTIONS.keys()].join(', ');
    throw new SyntaxError(
      `Cannot import ${describeSection(section)}: unknown section, expected one of ${known}`,
    );
  }
  for (const [key, { value, line }] of section.entries) {
    if (keys.used.includes(key) || keys.training.includes(key)) continue;
    const off = keys.offOnly?.[key];
    if (off !== undefined && (value === off || Number(value) === Number(off || Number.NaN))) continue;
    const hint =
      off === undefined ? `known keys are ${keys.used.join(', ')}` : `only ${key}=${off} is supported`;
    throw new SyntaxError(
      `Cannot import ${describeSection(section)}: key "${key}=${value}" (line ${line}) isn't supported; ${hint}`,
    );
  }
}
