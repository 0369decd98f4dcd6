/** `mafat run`: runs a model on images by a plan, measures it, and verifies its outputs. */

import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { median } from '../../shared/predict/index.js';
import type { Plan } from '../../shared/search/index.js';
import { givesPicture, pictureOf } from '../decode/output-picture.js';
import { encodePng } from '../picture/encode-png.js';
import { deviceProfile } from '../planning/device-profiles.js';
import type { Network } from '../planning/open-model.js';
import { openModel } from '../planning/open-model.js';
import { withContext } from './context.js';
import { collect, parseCount, parseRatio } from './parse-options.js';
import type { PlanFlags } from './plan-command.js';
import { planByFlags, planJson, settingsText, sizeOf, withPlanOptions } from './plan-command.js';
import { formatBytes, formatMs, formatTable, printJson, printLine } from './print.js';
import type { NetworkRun, RunOptions } from './run-network.js';
import { runNetwork } from './run-network.js';
import { UsageError } from './usage-error.js';
import type { FileVerification, NetworkVerification } from './verify-network.js';
import type { Verification } from './verify-outputs.js';
import { npzOf } from './write-npz.js';

interface RunFlags extends PlanFlags {
  readonly image: readonly string[];
  readonly threshold?: number;
  readonly verify?: boolean;
  readonly against?: string;
  readonly outputs?: string;
  readonly png?: string;
  readonly repeat: number;
}

/** Exit code when outputs differ from the untiled ones or the file's. */
const EXIT_NOT_EXACT = 4;

export function runCommand(): Command {
  return withPlanOptions(new Command('run'))
    .description('run a model on images within a budget, and measure memory and latency')
    .argument('<model>')
    .requiredOption('--image <file>', 'JPEG, PNG or WebP image; may be given more than once', collect)
    .option('--threshold <ratio>', 'least confidence of a detection (default: the model’s)', parseRatio)
    .option('--verify', 'compare the outputs with those of the untiled network and of the imported file')
    .option('--against <file>', 'with --verify: the imported file, if it was moved')
    .option('--outputs <file>', 'write the values of all outputs of the only image to a .npz file')
    .option('--png <file>', 'write the class map or the picture of the only image to a .png file')
    .option('--repeat <number>', 'run each image this many times', parseCount, 1)
    .option('--json', 'print as JSON')
    .action(async (name: string, flags: RunFlags) => {
      checkFile(flags, 'outputs', '.npz');
      checkFile(flags, 'png', '.png');
      const result = await withContext(`running ${name}`, async (context) => {
        const network = await openModel(context.store, name, { ...context, ...sizeOf(flags) });
        checkPicture(flags, network);
        await context.releaseExecutor();
        const { progress, signal } = context;
        const plan = await planByFlags(network, { ...flags, profile: deviceProfile(), progress, signal });
        const { repeat, image: images, verify = false } = flags;
        const onUnmapped = (reason: string) =>
          process.stderr.write(
            `mafat: weights are copied to the heap, which the plan does not count: ${reason}\n`,
          );
        const onProgress = progress.show;
        const options = {
          ...{ repeat, images, verify, onProgress, onUnmapped, signal },
          ...(flags.threshold === undefined ? {} : { threshold: flags.threshold }),
          ...(flags.against === undefined ? {} : { against: flags.against }),
          ...resultWriter(flags, network),
        };
        return { network, plan, run: await runNetwork(network, plan, options) };
      });
      if (flags.json)
        printJson({ model: name, plan: planJson(result.network.graph, result.plan), ...result.run });
      else printRun(result);
      if (result.run.verify !== undefined) judge(result.run.verify);
    });
}

/** @throws {UsageError} if what is to be written isn't what such a file holds. */
function checkFile(flags: RunFlags, flag: 'outputs' | 'png', ending: string): void {
  const file = flags[flag];
  if (file === undefined) return;
  if (!file.endsWith(ending))
    throw new UsageError(`--${flag} ${file}: expected a file that ends in ${ending}`);
  const images = flags.image.length;
  if (images > 1) throw new UsageError(`--${flag} ${file}: there are ${images} images, expected one`);
}

/** @throws {RangeError} if the network gives no picture. */
function checkPicture({ png }: RunFlags, { manifest: { decoder } }: Network): void {
  if (png === undefined || givesPicture(decoder)) return;
  throw new RangeError(`--png ${png}: the model gives no picture: its decoder is ${decoder.kind}`);
}

/** Writes the files that are wanted of a run. */
function resultWriter({ outputs, png }: RunFlags, network: Network): Pick<RunOptions, 'onResult'> {
  if (outputs === undefined && png === undefined) return {};
  return {
    onResult: async (result) => {
      if (outputs !== undefined) write(outputs, npzOf(result.outputs));
      if (png !== undefined) write(png, await encodePng(pictureOf(result, network)));
    },
  };
}

function write(file: string, bytes: Uint8Array): void {
  try {
    writeFileSync(file, bytes);
  } catch (error) {
    throw new RangeError(`Cannot write ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Says what isn't exact on standard error, and in the exit code. */
function judge({ exact, file }: NetworkVerification): void {
  const differing = [
    ...(exact ? [] : ['those of the untiled network by more than the plan allows']),
    ...('exact' in file && !file.exact ? [`those of ${file.path} by more than rounding`] : []),
  ];
  if (differing.length === 0) return;
  process.stderr.write(`mafat: outputs differ from ${differing.join(', and from ')}\n`);
  process.exitCode = EXIT_NOT_EXACT;
}

interface RunReport {
  readonly network: Network;
  readonly plan: Plan;
  readonly run: NetworkRun;
}

function printRun({ network, plan, run }: RunReport): void {
  const { measured, verify, images } = run;
  const { workingBytes, peakBytes } = plan.predicted;
  printLine(`${network.name}: ${plan.notation}`);
  printLine(settingsText(plan));
  printLine(
    `working memory ${formatBytes(measured.workingBytes)} (predicted ${formatBytes(workingBytes)}; with weights ${formatBytes(peakBytes)})`,
  );
  const latencies = measured.latencyMs;
  printLine(
    `latency ${formatMs(median(latencies))}${latencies.length > 1 ? ` (median of ${latencies.length})` : ''}`,
  );
  if (verify !== undefined) {
    printLine(verdictOf(verify));
    printLine(fileVerdictOf(verify.file));
  }
  for (const image of images) {
    printLine();
    printLine(image.file);
    printLine(describeImage(image));
  }
}

function verdictOf({ exact, maxAbsDiff, maxAbsReference }: Verification): string {
  const verdict = exact ? 'exact' : 'NOT EXACT';
  return `${verdict}: largest difference ${maxAbsDiff}, largest reference ${maxAbsReference}`;
}

function fileVerdictOf(file: FileVerification): string {
  if ('reason' in file) return `not compared with the imported file: ${file.reason}`;
  return `as ${file.path}: ${verdictOf(file)}`;
}

function describeImage({
  detections,
  classes,
  shares,
  picture,
  outputs,
}: NetworkRun['images'][number]): string {
  if (picture !== undefined) return `  picture of ${picture.width}x${picture.height} pixels; --png writes it`;
  if (outputs !== undefined)
    return outputs.map(({ name, shape }) => `  output ${name}: ${shape.join('x')}`).join('\n');
  if (classes !== undefined) {
    return formatTable(
      ['confidence', 'class'],
      classes.map(({ confidence, label }) => [confidence.toFixed(3), label]),
    );
  }
  if (shares !== undefined) {
    return formatTable(
      ['share', 'class'],
      shares.map(({ share, label }) => [share.toFixed(3), label]),
    );
  }
  if (detections.length === 0) return '  nothing detected';
  const rows = detections.map(({ label, confidence, box }) => [
    confidence.toFixed(3),
    label,
    ...[box.x, box.y, box.width, box.height].map((value) => value.toFixed(0)),
  ]);
  return formatTable(['confidence', 'label', 'x', 'y', 'width', 'height'], rows);
}
