/**
 * When the broker is tried again, and with which version of MQTT.
 *
 * - Pauses double from 1 s to 30 s. Each is jittered, the first too: after the broker's restart a fleet must
 *   not come back in step. They start over once a line has held for as long as the longest of them, not as
 *   soon as it is up: two nodes with one name would cut each other off every second.
 * - MQTT 5 is tried first. A broker that doesn't know it should refuse it by name (MQTT 3.1.1, section
 *   3.1.2.2), and 3.1.1 is tried at once. Some leave it unanswered, as a broker does that is just booting
 *   behind its proxy: two in a row are held against the version, and from then on the two alternate.
 * - What has worked is kept, for 3.1.1 lacks response topics: only after about eight minutes without an
 *   answer it may be another broker.
 */

/** As CONNECT has it: 4 is MQTT 3.1.1. */
export type MqttVersion = 4 | 5;

/** How an attempt, or the line that came of it, ended. */
export type LineEnd =
  | { readonly kind: 'lost'; readonly heldMs: number }
  /** Closed, garbage or silence where a CONNACK was due. */
  | { readonly kind: 'unanswered' }
  | { readonly kind: 'wrong-version' }
  /** Not reached, or refused for another reason. */
  | { readonly kind: 'failed' };

const PAUSE_MS = { first: 1000, longest: 30_000 } as const;

/** Unanswered attempts in a row before the other version is tried. */
const PATIENCE = { untried: 2, proven: 20 } as const;

export class RetryPolicy {
  #version: MqttVersion = 5;
  #pauseMs: number = PAUSE_MS.first;
  #unanswered = 0;
  #patience: number = PATIENCE.untried;

  /** For the next attempt. */
  get version(): MqttVersion {
    return this.#version;
  }

  connected(): void {
    this.#unanswered = 0;
    this.#patience = PATIENCE.proven;
  }

  /** Takes note of an end. @returns milliseconds until the next attempt; 0 where MQTT 5 was refused by name. */
  pauseAfter(end: LineEnd): number {
    this.#unanswered = end.kind === 'unanswered' ? this.#unanswered + 1 : 0;
    if (end.kind === 'wrong-version' || this.#unanswered >= this.#patience) this.#switchVersion();
    if (end.kind === 'wrong-version' && this.#version === 4) return 0;
    if (end.kind === 'lost' && end.heldMs >= PAUSE_MS.longest) this.#pauseMs = PAUSE_MS.first;
    const jittered = Math.round(this.#pauseMs * (0.5 + Math.random()));
    this.#pauseMs = Math.min(this.#pauseMs * 2, PAUSE_MS.longest);
    return jittered;
  }

  #switchVersion(): void {
    this.#version = this.#version === 5 ? 4 : 5;
    this.#patience = PATIENCE.untried;
  }
}
