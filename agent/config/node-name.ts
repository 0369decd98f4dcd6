/** Names of nodes and cameras, which are one level of a topic. */

export const TOPIC_NAME = /^[a-zA-Z0-9_-]{1,64}$/;

/** The law in words, for errors. */
export const TOPIC_NAME_RULE = '1 to 64 of the characters a-z, A-Z, 0-9, _ and -';

/** The node name made from a host name: `cam-1.local` becomes `cam-1-local`. */
export function fitNodeName(hostName: string): string {
  const fit = hostName
    .replace(/[^a-zA-Z0-9_-]+/g, '-')
    .slice(0, 64)
    .replace(/^-+|-+$/g, '');
  return fit === '' ? 'mafat' : fit;
}
