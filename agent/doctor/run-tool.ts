/** Runs a small program of the system and gives its output. */
import { execFile } from 'node:child_process';

export interface ToolOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

/** Longest time for one program, within that of a check. */
const LIMIT_MS = 3000;

/** Standard output, whatever the exit code; undefined if there is no such program, or it hangs. */
export function runTool(
  [file = '', ...args]: readonly string[],
  { env, signal }: ToolOptions,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const options = {
      env: { ...env, LC_ALL: 'C' },
      signal,
      timeout: LIMIT_MS,
      killSignal: 'SIGKILL',
    } as const;
    execFile(file, args, options, (error, stdout) => {
      const isRun = error === null || typeof error.code === 'number';
      resolve(isRun ? stdout.trim() : undefined);
    });
  });
}
