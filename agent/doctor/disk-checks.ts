/** The disk below the state folder: models, plans and statistics lie there. */
import { constants } from 'node:fs';
import { access, readlink, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readText } from '../board/read-text.js';
import type { Check, Result, Surroundings } from './check.js';
import { bad, fine, poor } from './check.js';
import { showBytes } from './show-bytes.js';

/** Below it a model may not be imported, and SQLite's journal may not grow. */
const LITTLE_BYTES = 200 * 2 ** 20;

/** File systems over a network: SQLite's locks don't hold there, and frames would wait for them. */
const NETWORK = /^(nfs4?|cifs|smb3|9p|fuse\.sshfs)$/;

export const DISK_CHECKS: readonly Check[] = [{ name: 'state folder', run: checkDisk }];

export async function checkDisk({ root, stateFolder }: Surroundings): Promise<readonly Result[]> {
  const folder = await nearestFolder(stateFolder);
  return [
    await checkWritable(stateFolder, folder),
    await checkSpace(folder),
    ...(await checkFileSystem(root, folder)),
  ];
}

/** The folder itself, or the nearest one above that is there. */
async function nearestFolder(folder: string): Promise<string> {
  const isThere = await stat(folder).then(
    () => true,
    () => false,
  );
  return isThere || folder === dirname(folder) ? folder : nearestFolder(dirname(folder));
}

async function checkWritable(wanted: string, folder: string): Promise<Result> {
  try {
    await access(folder, constants.W_OK);
    return fine(folder === wanted ? `${wanted} is writable` : `${wanted} will be made below ${folder}`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EROFS')
      return bad(
        `${folder} is on a read-only file system`,
        'mount it writable; the card may have failed (dmesg)',
      );
    return poor(
      `${folder} is not writable for this user (${code ?? 'unknown reason'})`,
      'run the doctor as the user that runs the agent, or with sudo',
    );
  }
}

async function checkSpace(folder: string): Promise<Result> {
  const { bavail, bsize, ffree, files } = await statfs(folder);
  const freeBytes = bavail * bsize;
  const text = `${showBytes(freeBytes)} free`;
  if (files > 0 && ffree === 0)
    return bad(`${text}, but no file can be made`, 'remove files; all inodes are taken');
  return freeBytes >= LITTLE_BYTES
    ? fine(text)
    : poor(
        `${text}, expected at least ${showBytes(LITTLE_BYTES)}`,
        'remove files or models (mafat model remove)',
      );
}

interface Mount {
  /** Major and minor number of the device. */
  readonly device: string;
  readonly point: string;
  readonly options: readonly string[];
  readonly type: string;
}

/** None where the kernel doesn't tell. */
async function checkFileSystem(root: string, folder: string): Promise<readonly Result[]> {
  const mounts = parseMounts(readText(join(root, 'proc/self/mountinfo')) ?? '');
  const mount = mounts.filter(({ point }) => isBelow(folder, point)).at(-1);
  if (mount === undefined) return [];
  const { type, options, point } = mount;
  if (options.includes('ro'))
    return [bad(`${point} is mounted read-only`, 'mount it writable; the card may have failed (dmesg)')];
  if (NETWORK.test(type))
    return [poor(`${point} is on a network (${type})`, 'set store.path to a folder on a local disk')];
  return [fine(`${type}${await describeDevice(root, mount.device)}`)];
}

/** Lines are `id parent device root point options [tags] - type source superOptions`; the longest point counts. */
function parseMounts(mountinfo: string): readonly Mount[] {
  return mountinfo
    .split('\n')
    .flatMap((line): readonly Mount[] => {
      const [left = '', right = ''] = line.split(' - ');
      const [, , device = '', , point, options = ''] = left.split(' ');
      const [type = ''] = right.split(' ');
      return point === undefined ? [] : [{ device, point, type, options: options.split(',') }];
    })
    .sort((a, b) => a.point.length - b.point.length);
}

function isBelow(folder: string, point: string): boolean {
  return point === '/' || folder === point || folder.startsWith(`${point}/`);
}

/** SD cards wear out; the agent writes little, and other services may write much. */
async function describeDevice(root: string, device: string): Promise<string> {
  const link = await readlink(join(root, 'sys/dev/block', device)).catch(() => '');
  const card = /mmcblk\d+/.exec(link)?.[0];
  if (card === undefined) return '';
  const kind = readText(join(root, 'sys/block', card, 'device/type'))?.trim();
  return kind === 'SD' ? ', on an SD card: keep logs in memory (journald: Storage=volatile)' : `, on ${card}`;
}
