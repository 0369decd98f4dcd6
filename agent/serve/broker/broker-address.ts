/** Where the embedded broker listens: the address that reaches it from here, and why it can't have one. */
import type { AddressInfo } from 'node:net';

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
}

/** From what is bound, not from the configuration: a port 0 and a host name are settled then. */
export function localUrl({ address, port }: Pick<AddressInfo, 'address' | 'port'>): string {
  // "All interfaces" is no address to dial everywhere; IPv6's takes IPv4 too, and some systems have no ::1.
  const isAny = address === '0.0.0.0' || address === '::';
  const host = isAny ? '127.0.0.1' : address;
  return `mqtt://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** In the words of the configuration, where it is to be mended. */
export function explainListenError(error: NodeJS.ErrnoException, { host, port }: ListenOptions): RangeError {
  const reason = REASONS[error.code ?? '']?.({ host, port }) ?? `${host}:${port}: ${error.message}`;
  return new RangeError(`Cannot start the embedded broker: ${reason}`, { cause: error });
}

const REASONS: Readonly<Record<string, (at: ListenOptions) => string>> = {
  EADDRINUSE: ({ host, port }) =>
    `mqtt.listen.port is ${port}, which another program has on ${host}, expected one that is free; ` +
    `if that program is a broker, the agent can use it: mqtt.server: mqtt://127.0.0.1:${port}`,
  EACCES: ({ port }) => `mqtt.listen.port is ${port}, which needs privileges, expected 1024 or more`,
  EADDRNOTAVAIL: ({ host }) =>
    `mqtt.listen.host is ${host}, expected an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all`,
  ENOTFOUND: ({ host }) => `mqtt.listen.host is ${host}, a name without an address`,
};
