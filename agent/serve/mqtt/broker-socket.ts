/** The socket and the login of a broker's URL. MQTT.js' own `connect` loads WebSockets and SOCKS proxies, too: 3 MB. */
import { readFileSync } from 'node:fs';
import { isIP, connect as openTcp, Socket } from 'node:net';
import { connect as openTls } from 'node:tls';

const PORTS = { plain: 1883, secure: 8883 } as const;

/** Paths of files in PEM; null for none. */
export interface TlsFiles {
  /** Authorities instead of the system's. */
  readonly ca: string | null;
  /** The client's certificate and its key. */
  readonly cert: string | null;
  readonly key: string | null;
}

/**
 * Opens a socket to `mqtt://host:port`, or to `mqtts://host:port`, whose certificate must be valid for the host. The
 * files are read each time, since certificates are renewed. A file that can't be read is the socket's error.
 */
export function openSocket(server: string, files?: TlsFiles): Socket {
  const { protocol, hostname, port: given } = new URL(server);
  const isSecure = protocol === 'mqtts:';
  const host = hostname.replace(/^\[|\]$/g, '');
  const port = Number(given) || PORTS[isSecure ? 'secure' : 'plain'];
  if (!isSecure) return openTcp({ host, port, noDelay: true });
  try {
    const name = isIP(host) === 0 ? { servername: host } : {};
    return openTls({ host, port, ...name, ...readFiles(files) }).setNoDelay(true);
  } catch (error) {
    return new Socket().destroy(error instanceof Error ? error : new Error(String(error)));
  }
}

/** @throws {Error} naming the file that can't be read. */
function readFiles(files: TlsFiles | undefined): Partial<Record<keyof TlsFiles, Buffer>> {
  const given = Object.entries(files ?? {}).filter((entry): entry is [string, string] => entry[1] !== null);
  return Object.fromEntries(given.map(([key, file]) => [key, readFileSync(file)]));
}

/** User name and password that a URL contains. */
export function loginOf(server: string): { readonly username?: string; readonly password?: string } {
  const { username, password } = new URL(server);
  return {
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
  };
}
