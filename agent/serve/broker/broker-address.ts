/** The address of the embedded broker, and the reasons why it can't listen there. */
import type { AddressInfo } from 'node:net';

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
}

/** URL of a bound address. The configuration may give port 0 or a host name, which only binding resolves. */
export function localUrl({ address, port }: Pick<AddressInfo, 'address' | 'port'>): string {
  // Not every system can connect to "all interfaces". `::` accepts IPv4, too, and some systems have no ::1.
  const isAny = address === '0.0.0.0' || address === '::';
  const host = isAny ? '127.0.0.1' : address;
  return `mqtt://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** An error in terms of the configuration, where the user can correct it. */
export function explainListenError(error: NodeJS.ErrnoException, { host, port }: ListenOptions): RangeError {
  const reason = REASONS[error.code ?? '']?.({ host, port }) ?? `${host}:${port}: ${error.message}`;
  return new RangeError(`Cannot start the embedded broker: ${reason}`, { cause: error });
}

const REASONS: Readonly<Record<string, (at: ListenOptions) => string>> = {
  EADDRINUSE: ({ host, port }) =>
    `mqtt.listen.port is ${port}, which another program uses on ${host}, expected a free port; ` +
    `if that program is a broker, the agent can use it with mqtt.server: mqtt://127.0.0.1:${port}`,
  EACCES: ({ port }) => `mqtt.listen.port is ${port}, which needs privileges, expected 1024 or more`,
  EADDRNOTAVAIL: ({ host }) =>
    `mqtt.listen.host is ${host}, expected an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all`,
  ENOTFOUND: ({ host }) => `mqtt.listen.host is ${host}, a name that has no address`,
};
