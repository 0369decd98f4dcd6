import type { DeviceProfile } from './device-profile.js';

/** PLACEHOLDER, filled from bench/fit. */
export const BUILT_IN_PROFILE: DeviceProfile = {
  source: 'built-in',
  costs: new Map([
    [
      1,
      {
        steps: 120_000,
        calls: 3000,
        pointwiseMacs: 0.02,
        denseMacs: 0.02,
        groupedMacs: 0.2,
        columnBytes: 0.1,
        weightBytes: 0.1,
        movedBytes: 0.15,
        copiedBytes: 0.2,
      },
    ],
  ]),
};
