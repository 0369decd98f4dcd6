/** `mafat model`: imports, makes, lists, shows and removes models. */

import { basename, extname } from 'node:path';
import { Command, Option } from 'commander';
import type { Graph, Node } from '../../shared/graph/index.js';
import { elementAt, localityOf, tensorAt } from '../../shared/graph/index.js';
import { DECODER_KINDS } from '../decode/choose-decoder.js';
import type { Resize } from '../engine/wire/protocol.js';
import { RESIZES } from '../engine/wire/protocol.js';
import { DEFINITIONS } from '../models/definitions.js';
import type { InputOptions } from '../models/image-input.js';
import { importDarknet, synthesizeDarknet } from '../models/import-darknet.js';
import type { ImportOptions } from '../models/import-model.js';
import { parseLabels } from '../models/import-model.js';
import { importOnnx } from '../models/import-onnx.js';
import type { Manifest } from '../models/manifest.js';
import type { ModelStore } from '../models/model-store.js';
import { checkModelName } from '../models/model-store.js';
import { readInputFile } from '../models/read-input.js';
import { setKey } from '../models/set-key.js';
import { openModel } from '../planning/open-model.js';
import { checkImport, describeCheck } from './check-import.js';
import type { CommandContext } from './context.js';
import { withContext } from './context.js';
import { parseLayers, parseNumber, parseNumbers, parseSeed, parseSize } from './parse-options.js';
import { formatTable, printJson, printLine } from './print.js';

interface CommonFlags {
  readonly name?: string;
  readonly labels?: string;
  readonly input?: { width: number; height: number };
  readonly decoder?: string;
  readonly layout?: 'nchw' | 'nhwc';
  readonly color?: 'rgb' | 'bgr';
  readonly resize?: Resize;
  readonly scale?: number;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly force?: boolean;
  readonly check?: boolean;
  readonly json?: boolean;
}

export function modelCommand(): Command {
  const command = new Command('model').description('import, make, list, show, change and remove models');
  command.addCommand(importCommand());
  command.addCommand(synthCommand());
  command.addCommand(listCommand());
  command.addCommand(showCommand());
  command.addCommand(setCommand());
  command.addCommand(removeCommand());
  return command;
}

function withCommonOptions(command: Command): Command {
  return command
    .option('--name <name>', 'name of the stored model (default: that of the file or network)')
    .option('--labels <file>', 'class names, one per line')
    .option('--input <WxH>', 'input size in pixels (default: the network’s own)', parseSize)
    .option('--force', 'replace a model of the same name')
    .option('--json', 'print the manifest as JSON');
}

function importCommand(): Command {
  return withCommonOptions(new Command('import'))
    .description('import an ONNX file, or a .cfg and a .weights file of Darknet')
    .argument('<files...>', 'FILE.onnx | FILE.cfg FILE.weights')
    .addOption(
      new Option('--decoder <kind>', 'how outputs are read (default: found out)').choices(DECODER_KINDS),
    )
    .addOption(new Option('--layout <order>', 'order of the image’s dimensions').choices(['nchw', 'nhwc']))
    .addOption(new Option('--color <order>', 'order of the channels').choices(['rgb', 'bgr']))
    .addOption(new Option('--resize <rule>', 'how images get the input’s size').choices(RESIZES))
    .option('--scale <number>', 'value = (byte * scale - mean) / std (default: 1/255)', parseNumber)
    .option('--mean <numbers>', 'by channel, such as 0.485,0.456,0.406', parseNumbers)
    .option('--std <numbers>', 'by channel, such as 0.229,0.224,0.225', parseNumbers)
    .option(
      '--no-check',
      'do not compare the model with the file, which takes the memory of the whole network',
    )
    .action(async (files: readonly string[], flags: CommonFlags) => {
      // The argument's three dots ask for at least one file.
      const file = elementAt(files, 0);
      await store(file, flags, (options) => {
        if (files.length === 1 && extname(file) === '.onnx') return importOnnx(file, options);
        if (files.length === 2 && extname(file) === '.cfg')
          return importDarknet({ config: file, weights: elementAt(files, 1) }, options);
        throw new RangeError(
          `Cannot import ${files.join(' ')}: expected FILE.onnx, or FILE.cfg FILE.weights`,
        );
      });
    });
}

interface SynthFlags extends CommonFlags {
  readonly layers?: { from: number; to: number };
  readonly seed: number;
}

function synthCommand(): Command {
  const names = [...DEFINITIONS.keys()].join(', ');
  return withCommonOptions(new Command('synth'))
    .description(`make a known network with random weights, for measuring`)
    .argument('<network>', names)
    .option('--layers <range>', 'first and last layer, such as 0-15 (default: all)', parseLayers)
    .option('--seed <number>', 'seed of the random weights', parseSeed, 1)
    .action(async (network: string, flags: SynthFlags) => {
      const text = DEFINITIONS.get(network);
      if (text === undefined) throw new RangeError(`Cannot synthesize "${network}": expected ${names}`);
      const synth = { seed: flags.seed, ...(flags.layers === undefined ? {} : { layers: flags.layers }) };
      await store(network, flags, (options) => synthesizeDarknet({ name: network, text }, synth, options));
    });
}

async function store(
  file: string,
  flags: CommonFlags,
  importer: (options: ImportOptions) => Promise<Manifest>,
): Promise<void> {
  const name = checkModelName(flags.name ?? basename(file, extname(file)));
  const force = flags.force === true;
  const { manifest, check } = await withContext(`importing ${name}`, async (context) => {
    await context.store.checkFree(name, { force });
    const stored = await importer({ ...(await importOptions(flags, context)), name, force });
    const isChecked = stored.source.kind === 'onnx' && flags.check !== false;
    return { manifest: stored, check: isChecked ? await checkImport(name, context) : undefined };
  });
  if (flags.json) return printJson({ name, ...manifest, ...(check === undefined ? {} : { check }) });
  printLine(
    `stored ${name}: input ${manifest.input.width}x${manifest.input.height}, decoder ${manifest.decoder.kind}`,
  );
  if (check !== undefined) printLine(describeCheck(check));
}

async function importOptions(
  flags: CommonFlags,
  context: CommandContext,
): Promise<Omit<ImportOptions, 'name' | 'force'>> {
  return {
    store: context.store,
    executor: context.executor,
    onStage: context.progress.show,
    input: inputOptions(flags),
    ...(flags.decoder === undefined ? {} : { decoder: flags.decoder }),
    onNote: flags.json === true ? () => undefined : printLine,
    ...(flags.labels === undefined ? {} : { labels: await readLabelFile(flags.labels) }),
  };
}

function inputOptions({ input, layout, color, resize, scale, mean, std }: CommonFlags): InputOptions {
  return {
    ...(input === undefined ? {} : { size: input }),
    ...(layout === undefined ? {} : { layout }),
    ...(color === undefined ? {} : { colorOrder: color }),
    ...(resize === undefined ? {} : { resize }),
    ...(scale === undefined ? {} : { scale }),
    ...(mean === undefined ? {} : { mean }),
    ...(std === undefined ? {} : { std }),
  };
}

function listCommand(): Command {
  return new Command('list')
    .description('list the stored models')
    .option('--json', 'print as JSON')
    .action(async (flags: { json?: boolean }) => {
      const models = await withContext('listing', async ({ store: models }) =>
        Promise.all((await models.list()).map((name) => describeModel(models, name))),
      );
      if (flags.json) return printJson(models);
      const rows = models.map(modelRow);
      printLine(rows.length === 0 ? 'no models' : formatTable(['name', 'input', 'decoder', 'source'], rows));
    });
}

type ModelInfo =
  | { readonly name: string; readonly error: string }
  | ({ readonly name: string } & Omit<Manifest, 'labels'>);

function modelRow(model: ModelInfo): readonly string[] {
  const { name } = model;
  if ('error' in model) return [name, 'broken:', model.error.replace(/\n.*/s, '')];
  const { input, decoder, source } = model;
  return [name, `${input.width}x${input.height}`, decoder.kind, source.kind];
}

/** A model for the list. One that can't be read is listed as broken, so that it doesn't hide the others. */
async function describeModel(models: ModelStore, name: string): Promise<ModelInfo> {
  try {
    const { labels: _, ...manifest } = await models.readManifest(name);
    return { name, ...manifest };
  } catch (error) {
    return { name, error: error instanceof Error ? error.message : String(error) };
  }
}

function showCommand(): Command {
  return new Command('show')
    .description('show the manifest and the layers of a model, and which layers can be tiled')
    .argument('<model>')
    .option('--json', 'print as JSON')
    .action(async (name: string, flags: { json?: boolean }) => {
      const { manifest, graph, intact } = await withContext(`reading ${name}`, async (context) => {
        const network = await openModel(context.store, name, context);
        const digest = await context.store.digest(name);
        return { ...network, intact: digest === network.manifest.digest };
      });
      const layers = graph.nodes.map((node) => describeNode(graph, node));
      if (!intact) process.stderr.write(`mafat: ${name}: files differ from the digest in model.yaml\n`);
      if (flags.json) return printJson({ name, intact, ...manifest, layers });
      const { input, decoder, labels, digest } = manifest;
      printLine(`${name}  ${digest}`);
      printLine(
        `input ${input.width}x${input.height}x${input.channels}, ${input.resize}; decoder ${decoder.kind}; ${labels.length} labels`,
      );
      printLine();
      printLine(formatTable(['layer', 'operator', 'output', 'tileable'], layers.map(layerRow)));
    });
}

interface LayerInfo {
  readonly layer: number;
  readonly op: string;
  readonly output: readonly number[] | null;
  /** Reason why the node can't be tiled; absent if it can. */
  readonly barrier?: string;
}

function describeNode(graph: Graph, node: Node): LayerInfo {
  const { shape } = tensorAt(graph, elementAt(node.outputs, 0));
  const locality = localityOf(graph, node);
  const info = { layer: node.layer, op: node.op, output: shape };
  return locality.kind === 'local' ? info : { ...info, barrier: locality.reason };
}

function layerRow({ layer, op, output, barrier }: LayerInfo): readonly string[] {
  return [String(layer), op, output?.join('x') ?? '?', barrier === undefined ? 'yes' : `no: ${barrier}`];
}

function setCommand(): Command {
  return new Command('set')
    .description('change a key of a model’s model.yaml, such as input.scale or decoder.threshold')
    .argument('<model>')
    .argument('<key>', 'path with dots')
    .argument('<value>', 'YAML, such as 1/255, bgr or [0.5, 0.5, 0.5]; of labels a file, one name per line')
    .option('--json', 'print the manifest as JSON')
    .action(async (name: string, key: string, value: string, flags: { json?: boolean }) => {
      const text = key === 'labels' ? JSON.stringify(await readLabelFile(value)) : value;
      const manifest = await withContext(`changing ${name}`, async ({ store: models }) => {
        await models.readManifest(name);
        return models.changeManifest(name, (yaml) => setKey(yaml, key, text));
      });
      if (flags.json) printJson({ name, ...manifest });
      else
        printLine(
          `${name}: ${key} set to ${value}; a service takes it over when it is reloaded or restarted`,
        );
    });
}

async function readLabelFile(file: string): Promise<readonly string[]> {
  return parseLabels((await readInputFile(file)).toString('utf8'));
}

function removeCommand(): Command {
  return new Command('remove')
    .description('remove a model')
    .argument('<model>')
    .action(async (name: string) => {
      await withContext(`removing ${name}`, ({ store: models }) => models.remove(name));
      printLine(`removed ${name}`);
    });
}
