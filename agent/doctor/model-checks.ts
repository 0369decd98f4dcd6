/** The configured models: whether their files are there and whole, and whether their plans are known. */
import { join } from 'node:path';
import { ModelStore } from '../models/model-store.js';
import { readFrontDigests } from '../store/store.js';
import type { Check, Result, Surroundings } from './check.js';
import { bad, fine, messageOf, poor } from './check.js';

/** One check for each model, since reading a large one takes seconds on a slow card. */
export function modelChecks({ config }: Surroundings): readonly Check[] {
  if (config.models.length === 0)
    return [
      {
        name: 'models',
        run: () => [
          poor('none configured: the agent has nothing to serve', 'list models in the configuration'),
        ],
      },
    ];
  return config.models.map(({ name }) => ({
    name: `model ${name}`,
    run: (surroundings: Surroundings, signal: AbortSignal) => checkModel(name, { surroundings, signal }),
  }));
}

async function checkModel(
  name: string,
  { surroundings, signal }: { readonly surroundings: Surroundings; readonly signal: AbortSignal },
): Promise<readonly Result[]> {
  const models = new ModelStore(surroundings.modelsFolder);
  let digest: string;
  try {
    ({
      manifest: { digest },
    } = await models.load(name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES')
      return [poor(messageOf(error), 'run the doctor as the user that runs the agent, or with sudo')];
    return [bad(messageOf(error), 'mafat model list shows what is stored; import it, again if it is broken')];
  }
  const fronts = readFrontDigests(
    surroundings.config.store.path ?? join(surroundings.stateFolder, 'agent.db'),
  );
  const plans = describeFront(fronts?.includes(digest));
  const actual = await models.digest(name, signal);
  return [
    actual === digest
      ? fine(`files are whole; ${plans}`)
      : bad(`files differ from the digest in model.yaml; ${plans}`, 'import the model again'),
  ];
}

function describeFront(isKnown: boolean | undefined): string {
  if (isKnown === undefined) return 'no store of plans can be read';
  return isKnown ? 'plans are in the store' : 'plans are searched at the first start';
}
