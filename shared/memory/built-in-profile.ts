import type { DeviceProfile } from './device-profile.js';

/**
 * Costs of one core of an x86-64 server with AVX-512, for a device that hasn't been measured: plans are compared
 * rightly where its kernels are to each other as there, and latencies are wrong by what it is slower.
 *
 * Fitted to 25 plans of YOLOv2 (layers 0-15 at 608 and 320, whole at 416) and Yolo-Fastest at level `extended`, one
 * thread: median error 5 %. For two threads multiplying is taken to be 1.8 times as fast; that isn't measured.
 */
export const BUILT_IN_PROFILE: DeviceProfile = {
  source: 'built-in',
  costs: new Map([
    [
      1,
      {
        steps: 158_000,
        calls: 2000,
        pointwiseMacs: 0.0971,
        denseMacs: 0.0105,
        groupedMacs: 0.322,
        columnBytes: 0.0892,
        weightBytes: 0.02,
        movedBytes: 0.02,
        copiedBytes: 0.9,
      },
    ],
    [
      2,
      {
        steps: 158_000,
        calls: 2000,
        pointwiseMacs: 0.054,
        denseMacs: 0.0058,
        groupedMacs: 0.179,
        columnBytes: 0.0496,
        weightBytes: 0.02,
        movedBytes: 0.02,
        copiedBytes: 0.9,
      },
    ],
  ]),
};
