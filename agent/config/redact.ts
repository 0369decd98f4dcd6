/**
 * Texts without credentials. Logs, reports and errors show what commands say of their sources, and a camera's URL often
 * contains a login, in the place for it or in its path.
 */

const HIDDEN = '***';

/** A text without the user, path and query of any URL in it, and without what follows a word such as `password=`. */
export function redact(text: string, secrets: readonly string[] = []): string {
  return secrets
    .reduce((shown, secret) => shown.replaceAll(secret, HIDDEN), text)
    .replace(/\b([a-z][a-z0-9+.-]*:\/\/)(\S*)/gi, (_, scheme: string, rest: string) => scheme + hostOf(rest))
    .replace(
      /((?:passw|passphrase|pwd|token|secret|authorization|cookie|api_?key|login)[\w-]*\s*[=:]).*/gi,
      `$1 ${HIDDEN}`,
    );
}

/** Host and port of a URL without its scheme. An @ after the first slash may be a password's, so all is hidden then. */
function hostOf(rest: string): string {
  const [authority = ''] = rest.split(/[/?#]/, 1);
  const at = rest.lastIndexOf('@');
  if (at >= authority.length) return HIDDEN;
  const [host = ''] = /^(\[[\da-f:.]*\]|[\w.-]*)(:\d+)?/i.exec(rest.slice(at + 1)) ?? [];
  return rest.length > authority.length ? `${host}/${HIDDEN}` : host;
}

/** A shorter text would be found in words that have nothing to do with it. */
const MIN_SECRET_LENGTH = 3;

/** Options of commands whose value may be a credential. */
const SECRET_OPTION = /header|cookie|auth|pass|pwd|user|key|token|secret|proxy|referer/i;

/**
 * The parts of a URL, and of the options beside it, that must not be shown, longest first.
 * @param options in turn names and values, as on a command line.
 */
export function secretsOf(url: string, options: readonly string[] = []): readonly string[] {
  const rest = url.replace(/^[a-z][a-z0-9+.-]*:\/\//i, '');
  const login = rest.slice(0, Math.max(0, rest.lastIndexOf('@')));
  const path = rest === url ? '' : rest.slice(login.length).replace(/^[^/?#]*/, '');
  const values = options.filter((_, at) => SECRET_OPTION.test(options[at - 1] ?? ''));
  const parts = [
    login,
    // A password may contain colons.
    ...[login.replace(/:.*$/s, ''), login.replace(/^[^:]*:/, '')],
    Buffer.from(login).toString('base64'),
    path,
    ...values.flatMap((value) => [value, ...value.split(/\s+/)]),
  ];
  return [...new Set(parts.flatMap((part) => [part, decoded(part)]))]
    .filter(({ length }) => length >= MIN_SECRET_LENGTH)
    .sort((a, b) => b.length - a.length);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not encoded: a percent sign of its own.
    return text;
  }
}
