/** Golden plans of the searches, for fixed networks and budgets. A refactor leaves them as they are. */

/** Plans of the front: network, size, budget in MB, and the plan with its milliseconds. */
export const FRONT_PLANS = [
  ['yolov2', 608, 300, 'whole', '451.2 ms'],
  ['yolov2', 608, 180, 'whole | 24 | whole', '458.8 ms'],
  ['yolov2', 608, 120, 'whole | 20 | whole | 23 | whole | 24 | whole | 29 | whole', '468.5 ms'],
  ['yolov2', 608, 80, 'stream16 | 8 | whole | 20 | whole | 23 | whole | 24 | whole | 29 | whole', '480.4 ms'],
  [
    'yolov2',
    608,
    68,
    'stream4 | 12 | whole | 20 | whole | 23 | stream4 | 24 | stream4 | 26 | whole | 28 | stream4 | 30 | whole',
    '523.8 ms',
  ],
  [
    'yolov2',
    608,
    64,
    'stream1 | 12 | whole | 17 | stream4 | 22 | stream4 | 23 | 1x2:stream4 | 24 | 1x2:stream4 | 26 | whole | 28 | stream2 | 30 | whole',
    '611.0 ms',
  ],
  ['yolov2-tiny', 416, 64, 'whole', '46.1 ms'],
  ['yolov2-tiny', 416, 48, 'whole | 13 | whole', '48.1 ms'],
  ['yolov2-tiny', 416, 36, 'stream8 | 10 | whole | 12 | whole | 13 | whole', '51.9 ms'],
  ['yolov2-tiny', 416, 30, '2x2 | 6 | whole | 12 | whole | 13 | stream4 | 14 | whole', '57.7 ms'],
  ['yolov2-tiny', 416, 28, '3x3 | 6 | whole | 12 | stream4 | 13 | stream2 | 14 | whole', '67.1 ms'],
] as const;

/** Plans of MAFAT's strategy for the first 16 layers: network, size, budget in MB, and the plan or the error. */
export const MAFAT_PLANS = [
  ['yolov2', 608, 128, 'whole'],
  ['yolov2', 608, 64, '2x2'],
  ['yolov2', 608, 48, '2x2'],
  ['yolov2', 608, 24, '3x3 | 12 | 2x2'],
  ['yolov2', 608, 18, '4x4 | 12 | 2x2'],
  ['yolov2-tiny', 416, 32, 'whole'],
  ['yolov2-tiny', 416, 16, '2x2 | 10 | 2x2'],
  ['yolov2-tiny', 416, 10, 'Cannot plan within 10M: the smallest plan, 3x3 | 10 | 2x2, needs 11.3M'],
] as const;

/**
 * Digests of the golden plans by version of the planner. Plans are stored under the version, so a change of plans needs
 * another one: raise PLANNER_VERSION, and add its digest.
 */
export const DIGESTS: Readonly<Record<string, string>> = {
  '9': '187607fe3926419ce3f97a7329a3cd712bad3a4e6c0d813776da9e070c2dc793',
  // The same plans. Networks with other operators have new ones.
  '10': '187607fe3926419ce3f97a7329a3cd712bad3a4e6c0d813776da9e070c2dc793',
  // The same plans. Others no longer promise equal bits.
  '11': '187607fe3926419ce3f97a7329a3cd712bad3a4e6c0d813776da9e070c2dc793',
  // The same plans. Networks of many nodes have fewer cuts.
  '12': '187607fe3926419ce3f97a7329a3cd712bad3a4e6c0d813776da9e070c2dc793',
};
