/**
 * Decides when the broker is tried again, and with which version of MQTT.
 *
 * - Pauses double from 1 s to 30 s. All are jittered, so that a fleet doesn't come back in step after the broker's
 *   restart. They start over once a line has held for as long as the longest pause. If they started over at each
 *   connect, two nodes with one name would cut each other off every second.
 * - MQTT 5 is tried first. A broker that doesn't know it should refuse the version (MQTT 3.1.1, section 3.1.2.2),
 *   and 3.1.1 is tried at once. Some brokers don't answer, and neither does one that is booting. After two
 *   unanswered attempts in a row the versions alternate.
 * - A version that has worked is kept, since 3.1.1 lacks response topics. Only after about eight minutes without an
 *   answer may it be another broker.
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

  /** Version of the next attempt. */
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
