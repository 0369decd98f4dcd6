/** Browsers and Node.js have it; TypeScript declares it with the libraries of either alone. */
declare const TextDecoder: { new (): { decode(bytes: Uint8Array): string } };

/** Text of UTF-8 bytes. What is no UTF-8 becomes U+FFFD. */
export function decodeUtf8(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
