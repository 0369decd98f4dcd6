/** Names what optimised models and measured costs depend on: ONNX Runtime's version and the processor. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

export interface MachineOptions {
  /** Where procfs is mounted; tests give a tree of their own. */
  readonly root?: string;
  readonly arch?: string;
}

/**
 * A name for this machine, or undefined where nothing is gained: only the x86-64 builds of ONNX Runtime have
 * blocked convolutions (1.30), elsewhere weights stay mapped at every level. The block is as wide as the
 * processor's vectors, so model name and flags count; a kernel that reports one more flag costs a rebuild.
 */
export function readMachine({
  root = '/proc',
  arch = process.arch,
}: MachineOptions = {}): string | undefined {
  if (arch !== 'x64') return undefined;
  const processor = readProcessor(join(root, 'cpuinfo'));
  if (processor === undefined) return undefined;
  const digest = createHash('sha256').update(processor).digest('hex').slice(0, 16);
  return `onnxruntime-${runtimeVersion()}-${digest}`;
}

/** A name for what latencies depend on: ONNX Runtime's version, the processor, and how many cores of it there are. */
export function readDevice({ root = '/proc' }: Pick<MachineOptions, 'root'> = {}): string {
  const processor = readProcessor(join(root, 'cpuinfo')) ?? process.arch;
  const digest = createHash('sha256').update(processor).digest('hex').slice(0, 16);
  return `onnxruntime-${runtimeVersion()}-${availableParallelism()}-${digest}`;
}

/** Lines of the first processor, on x86-64 and on ARM; none on systems without procfs. */
function readProcessor(path: string): string | undefined {
  try {
    const [first = ''] = readFileSync(path, 'utf8').split('\n\n');
    const named = /^(model name|flags|Features|CPU (implementer|variant|part))\s*:/;
    const lines = first.split('\n').filter((line) => named.test(line));
    return lines.length === 0 ? undefined : lines.join('\n');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return undefined;
  }
}

/** Version of the package; the library isn't loaded into the agent for it. */
function runtimeVersion(): string {
  const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };
  return version;
}
