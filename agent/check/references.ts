/**
 * The right answers of models to the stored picture, kept in the store. The untiled run gives them. Where it doesn't
 * fit into memory, the first plan's answer stands in until it does: then a fault that all plans share goes unseen.
 */
import type { Plan } from '../../shared/search/index.js';
import { readDevice } from '../board/machine.js';
import type { AnswerKey, Store } from '../store/store.js';
import type { Answer } from './answer.js';
import { faultOf } from './answer.js';

/** A model as far as its answers depend on it. */
export interface CheckedModel {
  readonly name: string;
  readonly manifest: { readonly digest: string };
  readonly input: { readonly width: number; readonly height: number };
}

/** Notation of the plan without cuts and tiles. */
export const UNTILED = 'whole';

export class References {
  readonly #store: Pick<Store, 'findAnswer' | 'saveAnswer'>;
  /** Wrong answers by model, with the plan that gave them. */
  readonly #wrong = new Map<string, { readonly notation: string; readonly answer: Answer }>();

  constructor(store: Pick<Store, 'findAnswer' | 'saveAnswer'>) {
    this.#store = store;
  }

  /** Whether the answer to a model's picture is known, and comes from the untiled run. */
  isProven(model: CheckedModel, plan: Plan): boolean {
    return this.#store.findAnswer(keyOf(model, plan))?.source === UNTILED;
  }

  /**
   * Compares the answer of a plan. The first one is taken for right, and so is one on which the untiled run, or two
   * different plans, agree against it.
   * @returns what is wrong; undefined if nothing is.
   */
  check(model: CheckedModel, plan: Plan, answer: Answer): string | undefined {
    const key = keyOf(model, plan);
    const known = this.#store.findAnswer(key);
    const fault = known === undefined ? undefined : faultOf(answer, known.answer);
    const isProof = plan.notation === UNTILED && known?.source !== UNTILED;
    if (known === undefined || isProof || (fault !== undefined && this.#agrees(model, plan, answer))) {
      this.#store.saveAnswer(key, { answer, source: plan.notation }, Date.now());
      this.#wrong.delete(model.name);
      return undefined;
    }
    if (fault !== undefined) this.#wrong.set(model.name, { notation: plan.notation, answer });
    return fault;
  }

  /** Whether another plan gave the same answer, so that the known one must be wrong. */
  #agrees({ name }: CheckedModel, { notation }: Plan, answer: Answer): boolean {
    const wrong = this.#wrong.get(name);
    return wrong !== undefined && wrong.notation !== notation && faultOf(answer, wrong.answer) === undefined;
  }
}

function keyOf({ manifest, input }: CheckedModel, { settings: { level, threads } }: Plan): AnswerKey {
  const { width, height } = input;
  return { modelDigest: manifest.digest, width, height, level, threads, device: readDevice() };
}
