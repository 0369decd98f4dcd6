/** The socket and the login of a broker's URL. MQTT.js' own `connect` loads WebSockets and SOCKS proxies, too: 3 MB. */
import type { Socket } from 'node:net';
import { isIP, connect as openTcp } from 'node:net';
import { connect as openTls } from 'node:tls';

const PORTS = { plain: 1883, secure: 8883 } as const;

/** Opens a socket to `mqtt://host:port`, or to `mqtts://host:port`, whose certificate must be valid for the host. */
export function openSocket(server: string): Socket {
  const { protocol, hostname, port: given } = new URL(server);
  const isSecure = protocol === 'mqtts:';
  const host = hostname.replace(/^\[|\]$/g, '');
  const port = Number(given) || PORTS[isSecure ? 'secure' : 'plain'];
  if (!isSecure) return openTcp({ host, port, noDelay: true });
  return openTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}) }).setNoDelay(true);
}

/** User name and password that a URL contains. */
export function loginOf(server: string): { readonly username?: string; readonly password?: string } {
  const { username, password } = new URL(server);
  return {
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
  };
}
