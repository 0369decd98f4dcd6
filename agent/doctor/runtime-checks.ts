/** What mafat runs on: Node.js, the processor, the C library and the allocator. */
import { join } from 'node:path';
import { readText } from '../board/read-text.js';
import { findAllocator, NO_JEMALLOC } from '../engine/allocator.js';
import type { Check, Result } from './check.js';
import { bad, fine, messageOf, poor } from './check.js';

/** As package.json has it in `engines`. */
const LEAST_NODE = [20, 9] as const;

export const RUNTIME_CHECKS: readonly Check[] = [
  { name: 'Node.js', run: () => [checkNode(process.versions.node)] },
  { name: 'processor', run: ({ root }) => [checkProcessor(root, process.arch)] },
  { name: 'C library', run: ({ root }) => [checkLibrary(root)] },
  { name: 'allocator', run: () => [checkAllocator()] },
];

export function checkNode(version: string): Result {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isEnough = major > LEAST_NODE[0] || (major === LEAST_NODE[0] && minor >= LEAST_NODE[1]);
  if (isEnough) return fine(version);
  return bad(
    `${version}, expected ${LEAST_NODE.join('.')} or newer`,
    'install a newer one (https://nodejs.org)',
  );
}

/** Instruction sets that make ONNX Runtime's kernels several times faster, by their names in /proc/cpuinfo. */
const FAST_SETS = {
  x64: { wanted: ['avx2', 'fma'], better: ['avx512f', 'avx512_vnni', 'avx_vnni'] },
  arm64: { wanted: ['asimd'], better: ['asimddp', 'asimdhp', 'i8mm'] },
} as const;

export function checkProcessor(root: string, arch: string): Result {
  if (arch !== 'x64' && arch !== 'arm64')
    return bad(`${arch}: ONNX Runtime has no build for it`, 'use a 64-bit system on x86-64 or arm64');
  const cpuinfo = readText(join(root, 'proc/cpuinfo')) ?? '';
  const model = /^(?:model name|Model)\s*:\s*(.+)$/m.exec(cpuinfo)?.[1] ?? 'unnamed';
  const sets = (/^(?:flags|Features)\s*:\s*(.+)$/m.exec(cpuinfo)?.[1] ?? '').split(' ');
  const cores = cpuinfo.match(/^processor\s*:/gm)?.length ?? 0;
  const { wanted, better } = FAST_SETS[arch];
  const found = [...wanted, ...better].filter((name) => sets.includes(name));
  const text = `${model}, ${arch}, ${cores} cores, ${found.join(' ') || 'no vector instructions known'}`;
  if (wanted.every((name) => sets.includes(name))) return fine(text);
  return poor(`${text}; without ${wanted.join(' and ')}`, 'expect several times the usual latency');
}

/** ONNX Runtime is built for glibc. */
function checkLibrary(root: string): Result {
  const loaders = ['lib/ld-musl-x86_64.so.1', 'lib/ld-musl-aarch64.so.1'];
  const isMusl = loaders.some((path) => readText(join(root, path)) !== undefined);
  return isMusl
    ? bad(
        'musl: ONNX Runtime needs glibc',
        'use Debian, Raspberry Pi OS, Ubuntu or Fedora, in a container if need be',
      )
    : fine('glibc');
}

function checkAllocator(): Result {
  try {
    const { kind } = findAllocator();
    return kind === 'jemalloc' ? fine(kind) : poor(`glibc: ${NO_JEMALLOC}`, 'apt install libjemalloc2');
  } catch (error) {
    return bad(messageOf(error), 'install it, or unset MAFAT_ALLOCATOR');
  }
}
