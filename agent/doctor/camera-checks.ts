/** Sources of images: files and devices that can be read, and the programs that cameras need. */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import type { Check, Result, Surroundings } from './check.js';
import { bad, fine, poor } from './check.js';
import { runTool } from './run-tool.js';

/** Programs by kind of camera, of which one must be there; kinds that aren't listed need none. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  ffmpeg: ['ffmpeg'],
  libcamera: ['rpicam-vid', 'libcamera-vid'],
};

export const CAMERA_CHECKS: readonly Check[] = [
  { name: 'cameras', run: checkCameras },
  { name: 'ffmpeg', run: checkFfmpeg },
];

export async function checkCameras(
  { config, env }: Surroundings,
  signal: AbortSignal,
): Promise<readonly Result[]> {
  if (config.cameras.length === 0) return [fine('none configured')];
  const results = config.cameras.map(async (camera) => {
    const { name, kind } = camera;
    const fault =
      (await missingFile([...pathsOf(camera)])) ??
      (await missingProgram(PROGRAMS[kind] ?? [], { env, signal }));
    return fault === undefined
      ? fine(`${name} (${kind})`)
      : bad(`${name} (${kind}): ${fault.text}`, fault.next);
  });
  return Promise.all(results);
}

interface Fault {
  readonly text: string;
  readonly next: string;
}

/** Files and devices that a camera names, whatever the key. */
function* pathsOf(value: unknown): Generator<string> {
  if (typeof value === 'string' && value.startsWith('/')) yield value;
  else if (typeof value === 'object' && value !== null)
    for (const inner of Object.values(value)) yield* pathsOf(inner);
}

async function missingFile(paths: readonly string[]): Promise<Fault | undefined> {
  for (const path of paths) {
    const code = await access(path, constants.R_OK).then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error.code ?? error.message,
    );
    if (code === 'ENOENT') return { text: `${path} is not there`, next: 'plug it in, or correct its path' };
    if (code === undefined) continue;
    const next = path.startsWith('/dev/')
      ? 'add this user to the group video; the unit needs systemd/drop-ins/cameras.conf'
      : 'make it readable for the user that runs the agent';
    return { text: `${path} cannot be read (${code})`, next };
  }
  return undefined;
}

async function missingProgram(
  programs: readonly string[],
  { env, signal }: { readonly env: NodeJS.ProcessEnv; readonly signal: AbortSignal },
): Promise<Fault | undefined> {
  for (const program of programs)
    if ((await runTool([program, '-version'], { env, signal })) !== undefined) return undefined;
  const [first] = programs;
  if (first === undefined) return undefined;
  return { text: `${programs.join(' or ')} is not installed`, next: `install ${first}` };
}

async function checkFfmpeg({ config, env }: Surroundings, signal: AbortSignal): Promise<readonly Result[]> {
  const version = await runTool(['ffmpeg', '-version'], { env, signal });
  if (version !== undefined)
    return [fine(version.split('\n')[0]?.replace(/ Copyright.*/, '') ?? 'installed')];
  const kinds: readonly string[] = config.cameras.map(({ kind }) => kind);
  return kinds.includes('ffmpeg')
    ? [poor('not installed, and cameras need it', 'apt install ffmpeg')]
    : [fine('not installed; only cameras of kind ffmpeg need it')];
}
