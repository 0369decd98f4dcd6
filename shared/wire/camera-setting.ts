/** What a client may change of a camera, JSON on `<base>/<node>/cameras/<camera>/set`. docs/protocol.md, section 5. */
import type { ValueOf } from '../rules/index.js';
import { flag, map } from '../rules/index.js';
import { RequestError } from './request-error.js';

const settingSchema = map({
  /** Whether the camera runs. */
  enabled: flag(),
});

export type CameraSetting = ValueOf<typeof settingSchema>;

/** @throws {RequestError} if the text is anything else. */
export function parseCameraSetting(json: string): CameraSetting {
  const checked = settingSchema(parseJson(json));
  if (checked.isValid) return checked.value;
  throw new RequestError('setting', 'expected {"enabled": true} or {"enabled": false}');
}

/** @returns undefined if the text isn't JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
