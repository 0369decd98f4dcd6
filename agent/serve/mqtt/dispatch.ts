/** Which handler gets which MQTT message: one table of topic filters, one handler for each kind of message. */
import type { LinkMessage } from './mqtt-link.js';

export interface Route {
  /** MQTT topic filter: `+` stands for one level. */
  readonly filter: string;
  /** @param levels the topic's levels that the wildcards stand for. */
  readonly handle: (message: LinkMessage, levels: readonly string[]) => Promise<void>;
}

export interface DispatchOptions {
  readonly routes: readonly Route[];
  /** Told why a message was dropped. */
  readonly onDropped: (topic: string, reason: string) => void;
}

export class Dispatcher {
  readonly #options: DispatchOptions;
  readonly #handling = new Set<Promise<void>>();

  constructor(options: DispatchOptions) {
    this.#options = options;
  }

  /** Resolves when all messages so far were handled. */
  async settle(): Promise<void> {
    await Promise.all(this.#handling);
  }

  get filters(): readonly string[] {
    return this.#options.routes.map(({ filter }) => filter);
  }

  /** Hands a message to the first route whose filter it matches; messages of no route are dropped without a word. */
  async dispatch(message: LinkMessage): Promise<void> {
    for (const route of this.#options.routes) {
      const levels = matchTopic(route.filter, message.topic);
      if (levels === undefined) continue;
      const handling = this.#handle(route, message, levels);
      this.#handling.add(handling);
      await handling;
      this.#handling.delete(handling);
      return;
    }
  }

  async #handle({ handle }: Route, message: LinkMessage, levels: readonly string[]): Promise<void> {
    try {
      await handle(message, levels);
    } catch (error) {
      this.#options.onDropped(message.topic, error instanceof Error ? error.message : String(error));
    }
  }
}

/** The levels of the topic at the filter's wildcards; undefined where the topic doesn't match. */
export function matchTopic(filter: string, topic: string): readonly string[] | undefined {
  const [wanted, found] = [filter.split('/'), topic.split('/')];
  if (wanted.length !== found.length) return undefined;
  if (!wanted.every((level, at) => level === '+' || level === found[at])) return undefined;
  return found.filter((_, at) => wanted[at] === '+');
}
