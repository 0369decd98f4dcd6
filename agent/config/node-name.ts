/** Names that are one level of a topic: of a node, of a camera. */
export const TOPIC_NAME = /^[a-zA-Z0-9_-]{1,64}$/;

/** A host name made fit for a topic: `cam-1.local` becomes `cam-1-local`. */
export function fitNodeName(hostName: string): string {
  const fit = hostName
    .replace(/[^a-zA-Z0-9_-]+/g, '-')
    .slice(0, 64)
    .replace(/^-+|-+$/g, '');
  return fit === '' ? 'mafat' : fit;
}
