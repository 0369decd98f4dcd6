/**
 * Networks that the service benches serve, stored as a user would: by commands, or built as graphs. Weights are random
 * except in the networks that lie beside the project.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withContext } from '../agent/cli/context.js';
import { printLine } from '../agent/cli/print.js';
import { ModelStore } from '../agent/models/model-store.js';
import { findNetwork } from './networks.js';
import { runMafat } from './service-agent.js';

const BESIDE = fileURLToPath(new URL('../../../shared/', import.meta.url));

export interface ServiceNetwork {
  readonly name: string;
  /** Files beside the project that it needs. */
  readonly files: readonly string[];
  /** Stores it in a state folder. */
  readonly save: (folder: string) => Promise<unknown>;
}

/** YOLOv2's first 16 layers, as in most figures of the docs. */
export const YOLO_START = synthetic('y16', ['yolov2', '--layers', '0-15', '--input', '608x608']);
export const YOLO_FASTEST = imported('yolo-fastest', [
  'models/yolo-fastest-1.1.cfg',
  'models/yolo-fastest-1.1.weights',
]);
export const YOLO_TINY = synthetic('yolov2-tiny', ['yolov2-tiny']);

/** Seven kinds of network; two are small, and one has an output of 10 MB. */
export const SERVICE_NETWORKS: readonly ServiceNetwork[] = [
  YOLO_START,
  YOLO_TINY,
  YOLO_FASTEST,
  built('mobilenetv2-0.35-144'),
  built('resnet18-224'),
  imported('unet-512', ['cases/networks/unet-bilinear/unet.onnx']),
  synthetic('large-output', ['yolov2', '--layers', '0-3', '--input', '816x816']),
];

/** Networks of these names whose files are here. Prints a line for each that is left out. */
export function findServiceNetworks(names?: readonly string[]): readonly ServiceNetwork[] {
  const known = new Set(SERVICE_NETWORKS.map(({ name }) => name));
  const unknown = names?.find((name) => !known.has(name));
  if (unknown !== undefined)
    throw new RangeError(
      `Cannot serve "${unknown}": it is unknown, expected one of ${[...known].join(', ')}`,
    );
  return withFiles(SERVICE_NETWORKS.filter(({ name }) => names?.includes(name) ?? true));
}

/** Networks whose files are here. Prints a line for each that is left out. */
export function withFiles(networks: readonly ServiceNetwork[]): readonly ServiceNetwork[] {
  return networks.filter(({ name, files }) => {
    const missing = files.find((file) => !existsSync(join(BESIDE, file)));
    if (missing !== undefined) printLine(`${name} is left out, since ../shared/${missing} isn't here`);
    return missing === undefined;
  });
}

function synthetic(name: string, args: readonly string[]): ServiceNetwork {
  return { name, files: [], save: (folder) => runMafat(folder, 'model', 'synth', ...args, '--name', name) };
}

function imported(name: string, files: readonly string[]): ServiceNetwork {
  const paths = files.map((file) => join(BESIDE, file));
  return { name, files, save: (folder) => runMafat(folder, 'model', 'import', ...paths, '--name', name) };
}

/** A graph of bench/networks-graphs.ts. */
function built(name: string): ServiceNetwork {
  const { save } = findNetwork(name);
  const store = (folder: string) =>
    withContext(name, ({ executor }) =>
      save({ store: new ModelStore(join(folder, 'models')), executor, name, force: false }),
    );
  return { name, files: [], save: store };
}
