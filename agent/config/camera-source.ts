/** Where a command gets a camera's pictures from: one text, as `url` of the configuration has it. */

export type CameraSource =
  /** A video device of Linux. */
  | { readonly kind: 'device'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string }
  /** A picture that ffmpeg draws, by its description. */
  | { readonly kind: 'lavfi'; readonly graph: string }
  | { readonly kind: 'url'; readonly url: string; readonly protocols: readonly string[] };

/**
 * Protocols that a source may use, by the scheme of its URL. A playlist that came over the network can't name a file
 * of this machine.
 */
const PROTOCOLS: Readonly<Record<string, readonly string[]>> = {
  http: ['http', 'https', 'tcp', 'tls'],
  https: ['http', 'https', 'tcp', 'tls'],
  tcp: ['tcp'],
  tls: ['tls', 'tcp'],
  udp: ['udp'],
  rtp: ['rtp', 'udp'],
  rtsp: ['rtsp', 'rtp', 'udp', 'tcp'],
  rtsps: ['rtsps', 'rtsp', 'rtp', 'udp', 'tcp', 'tls'],
};

const MAX_LENGTH = 2048;
const LAVFI = 'lavfi:';

/** What `parseCameraSource` takes, in words, for errors. */
export const CAMERA_SOURCE_RULE = `a path, /dev/video..., lavfi:..., or a URL of ${Object.keys(PROTOCOLS).join(', ')}`;

/** @returns undefined if the text is no source. */
export function parseCameraSource(text: string): CameraSource | undefined {
  if (text === '' || text.length > MAX_LENGTH || /\p{Cc}/u.test(text)) return undefined;
  if (text.startsWith(LAVFI)) return { kind: 'lavfi', graph: text.slice(LAVFI.length) };
  if (text.startsWith('/dev/')) return { kind: 'device', path: text };
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) return { kind: 'file', path: text };
  const protocols = Object.hasOwn(PROTOCOLS, scheme) ? PROTOCOLS[scheme] : undefined;
  if (protocols === undefined || !/^[^:]+:\/\/\S+$/.test(text)) return undefined;
  return { kind: 'url', url: text, protocols };
}
