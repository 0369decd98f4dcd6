/**
 * Checks the keys of each section. A key is used, matters for training alone, or is supported at one value.
 *
 * Any other key is an error, since it might change the result. A network that is refused is better than one that
 * gives wrong results. Source: Darknet's parser.c, both of pjreddie and AlexeyAB.
 */
import type { DarknetSection } from './darknet-config.js';
import { describeSection } from './darknet-config.js';

interface SectionKeys {
  readonly used: readonly string[];
  readonly training: readonly string[];
  /** Keys that would change the result, with the only supported value, which switches the effect off. */
  readonly off: ReadonlyMap<string, string>;
}

/** Keys of a section. Lists are words separated by spaces; those of `off` are key=value. */
function keys(lists: { used?: string; training?: string; off?: string }): SectionKeys {
  const words = (text = '') => text.split(/\s+/).filter((word) => word !== '');
  const pairs = words(lists.off).map((word) => word.split('=') as [string, string]);
  return {
    used: words(lists.used),
    training: [...words(lists.training), ...words(ANY_TRAINING)],
    off: new Map(pairs),
  };
}

const ANY_TRAINING = 'stopbackward onlyforward train_only_bn burnin_update learning_rate clip';

const HEAD_TRAINING = `
  jitter resize random rescore thresh ignore_thresh truth_thresh absolute max bias_match object_scale
  noobject_scale class_scale coord_scale mask_scale focal_loss iou_thresh iou_loss iou_normalizer
  cls_normalizer obj_normalizer delta_normalizer label_smooth_eps objectness_smooth max_delta
  counters_per_class track_history_size sim_thresh dets_for_track dets_for_show track_ciou_norm
  iou_thresh_kind nms_kind beta_nms show_details map cutmix mosaic`;

const SECTIONS: ReadonlyMap<string, SectionKeys> = new Map([
  [
    'net',
    keys({
      used: 'width height channels letter_box',
      training: `
        batch subdivisions momentum decay burn_in max_batches policy steps scales step scale power gamma
        seq_scales angle saturation exposure hue aspect max_crop min_crop crop center flip blur gaussian_noise
        mixup cutmix mosaic mosaic_bound contrastive adam B1 B2 eps random time_steps track augment_speed
        notruth optimized_memory workspace_size_limit_MB ema_alpha weights_reject_freq equidistant_point
        badlabels_rejection_percentage max_chart_loss num_sigmas_reject_badlabels try_fix_nan loss_scale
        dynamic_minibatch sequential_subdivisions init_sequential_subdivisions adversarial_lr attention reset
        sgdr_cycle sgdr_mult label_smooth_eps resize_step show_receptive_field cudnn_half log_step hierarchy
        inputs max_delta learning_rate_min batches_per_cycle batches_cycle_mult unsupervised use_cuda_graph
        contrastive_jit_flip contrastive_color badlabels_reject_threshold max_epochs`,
    }),
  ],
  [
    'convolutional',
    keys({
      used: `
        batch_normalize filters groups size stride stride_x stride_y pad padding dilation activation`,
      training: 'cbn grad_centr reverse dot',
      off: `
        binary=0 xnor=0 bin_output=0 use_bin_output=0 flipped=0 antialiasing=0 share_index= deform=0 sway=0
        rotate=0 stretch=0 stretch_sway=0 angle=0 assisted_excitation=0 dontload=0 dontloadscales=0
        coordconv=0`,
    }),
  ],
  ['maxpool', keys({ used: 'size stride stride_x stride_y padding', off: 'maxpool_depth=0 antialiasing=0' })],
  ['avgpool', keys({})],
  ['route', keys({ used: 'layers groups group_id' })],
  [
    'shortcut',
    keys({ used: 'from activation', off: 'weights_type=none weights_normalization=none alpha=1 beta=1' }),
  ],
  ['scale_channels', keys({ used: 'from activation', off: 'scale_wh=0' })],
  [
    'crop',
    keys({ used: 'crop_height crop_width noadjust', training: 'flip angle saturation exposure shift' }),
  ],
  ['cost', keys({ training: 'type scale ratio noobj thresh smooth' })],
  ['upsample', keys({ used: 'stride', off: 'scale=1' })],
  ['reorg', keys({ used: 'stride', off: 'reverse=0 flatten=0 extra=0' })],
  ['dropout', keys({ training: 'probability dropblock dropblock_size_rel dropblock_size_abs' })],
  ['softmax', keys({ used: 'groups temperature', off: 'spatial=0 tree= noloss=0' })],
  [
    'region',
    keys({
      used: 'anchors classes num softmax background',
      training: HEAD_TRAINING,
      off: 'coords=4 tree=',
    }),
  ],
  [
    'yolo',
    keys({
      used: 'mask anchors classes num scale_x_y new_coords',
      training: HEAD_TRAINING,
      off: 'embedding_layer= embedding_size=',
    }),
  ],
]);

/** Checks a section. @throws {SyntaxError} naming the section or the key that isn't supported. */
export function checkKeys(section: DarknetSection): void {
  const known = SECTIONS.get(section.kind);
  if (known === undefined) {
    const kinds = [...SECTIONS.keys()].join(', ');
    throw new SyntaxError(
      `Cannot import ${describeSection(section)}: unknown section, expected one of ${kinds}`,
    );
  }
  for (const [key, { value, line }] of section.entries) {
    if (known.used.includes(key) || known.training.includes(key)) continue;
    const off = known.off.get(key);
    if (off !== undefined && isOff(value, off)) continue;
    const hint =
      off === undefined ? `known keys are ${known.used.join(', ')}` : `only ${key}=${off} is supported`;
    throw new SyntaxError(
      `Cannot import ${describeSection(section)}: key "${key}=${value}" (line ${line}) isn't supported; ${hint}`,
    );
  }
}

/** Whether a value is the one that switches a key off. Numbers may be written as `1`, `1.0` or `1.`. */
function isOff(value: string, off: string): boolean {
  return value === off || (off !== '' && Number(value) === Number(off));
}
