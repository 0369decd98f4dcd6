/** Golden plans of the searches, for fixed networks and budgets. A refactor leaves them as they are. */

/** Plans of the front: network, size, budget in MB, and the plan with its milliseconds. */
export const FRONT_PLANS = [
  ['yolov2', 608, 300, 'whole | 29 | whole', '455.6 ms'],
  ['yolov2', 608, 180, 'whole | 23 | whole | 26 | whole', '462.6 ms'],
  ['yolov2', 608, 120, 'stream16 | 12 | whole | 23 | whole | 26 | whole', '472.3 ms'],
  [
    'yolov2',
    608,
    80,
    'stream16 | 8 | whole | 20 | whole | 23 | whole | 24 | whole | 29 | whole | 30 | whole',
    '482.5 ms',
  ],
  [
    'yolov2',
    608,
    68,
    'stream4 | 12 | whole | 20 | whole | 23 | stream4 | 24 | stream4 | 26 | whole | 28 | stream8 | 30 | whole',
    '517.4 ms',
  ],
  [
    'yolov2',
    608,
    62,
    'stream1 | 12 | whole | 17 | stream4 | 22 | stream2 | 23 | 1x3:stream2 | 24 | 1x3:stream2 | 26 | whole | 28 | 1x2:stream4 | 30 | whole',
    '708.6 ms',
  ],
  ['yolov2-tiny', 416, 64, 'whole', '46.1 ms'],
  ['yolov2-tiny', 416, 48, 'whole | 13 | whole', '48.1 ms'],
  ['yolov2-tiny', 416, 36, '1x2 | 6 | whole | 12 | whole | 13 | whole', '52.0 ms'],
  ['yolov2-tiny', 416, 30, '2x2 | 6 | whole | 12 | whole | 13 | stream4', '57.2 ms'],
  [
    'yolov2-tiny',
    416,
    26,
    '1x2:stream4 | 8 | stream2 | 11 | 1x2:stream2 | 13 | 1x3:stream2 | 14 | whole',
    '104.1 ms',
  ],
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
  ['yolov2-tiny', 416, 10, 'Cannot plan within 10M: the smallest plan, 3x3 | 10 | 2x2, needs 11.2M'],
] as const;

/**
 * Digests of the golden plans by version of the planner. Plans are stored under the version, so a change of plans needs
 * another one: raise PLANNER_VERSION, and add its digest.
 */
export const DIGESTS: Readonly<Record<string, string>> = {
  '7': '851a837938307b37c80ed1367741c4a55575ce9377a5644aae399f1819b8a3d8',
  '8': 'ed5232ba5f69b44fafda72ba357ed1a13a4a2f857b8ff7021f2d1ef5256949ff',
};
