/** Golden plans of the searches, for fixed networks and budgets. A refactor leaves them as they are. */

/** Plans of the front: network, size, budget in MB, and the plan with its milliseconds. */
export const FRONT_PLANS = [
  ['yolov2', 608, 300, 'whole', '451.2 ms'],
  ['yolov2', 608, 180, 'whole | 22 | whole | 24 | whole', '461.7 ms'],
  ['yolov2', 608, 120, 'whole | 20 | whole | 23 | whole | 24 | whole | 29 | whole', '468.5 ms'],
  ['yolov2', 608, 80, 'stream16 | 8 | whole | 20 | whole | 23 | whole | 24 | whole | 29 | whole', '480.4 ms'],
  [
    'yolov2',
    608,
    68,
    'stream4 | 10 | whole | 18 | stream8 | 22 | stream8 | 23 | stream4 | 24 | stream4 | 26 | whole | 28 | stream4 | 30 | whole',
    '543.6 ms',
  ],
  [
    'yolov2',
    608,
    64,
    'stream1 | 12 | whole | 17 | stream2 | 22 | stream2 | 23 | 1x5:stream4 | 24 | 1x5:stream4 | 26 | whole | 28 | 1x2:stream4 | 30 | whole',
    '728.4 ms',
  ],
  ['yolov2-tiny', 416, 64, 'whole', '46.1 ms'],
  ['yolov2-tiny', 416, 48, 'whole | 13 | whole', '48.1 ms'],
  ['yolov2-tiny', 416, 36, '1x2 | 6 | whole | 12 | whole | 13 | whole', '52.0 ms'],
  ['yolov2-tiny', 416, 30, 'stream4 | 8 | whole | 12 | whole | 13 | stream4 | 14 | whole', '58.6 ms'],
  ['yolov2-tiny', 416, 28, 'stream2 | 8 | whole | 12 | stream2 | 13 | 1x2:stream2 | 14 | whole', '80.2 ms'],
] as const;

/** Plans of MAFAT's strategy for the first 16 layers: network, size, budget in MB, and the plan or the error. */
export const MAFAT_PLANS = [
  ['yolov2', 608, 128, 'whole'],
  ['yolov2', 608, 64, '2x2'],
  ['yolov2', 608, 48, '2x2'],
  ['yolov2', 608, 24, '3x3 | 12 | 2x2'],
  ['yolov2', 608, 18, '5x5 | 12 | 2x2'],
  ['yolov2-tiny', 416, 32, 'whole'],
  ['yolov2-tiny', 416, 16, '2x2 | 10 | 2x2'],
  ['yolov2-tiny', 416, 10, 'Cannot plan within 10M: the smallest plan, 3x3 | 10 | 2x2, needs 12.2M'],
] as const;

/**
 * Digests of the golden plans by version of the planner. Plans are stored under the version, so a change of plans needs
 * another one: raise PLANNER_VERSION, and add its digest.
 */
export const DIGESTS: Readonly<Record<string, string>> = {
  '8': 'e5dfc40417e86f73f8d643ea9c4c2504f95a084710dab8794d08be1b2340f662',
};
