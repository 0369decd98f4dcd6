/** Shows the progress of a command on stderr. */

import yoctoSpinner from 'yocto-spinner';

export interface Progress {
  readonly show: (text: string) => void;
  readonly stop: () => void;
}

/** Starts a spinner on stderr. It is silent if stderr isn't a terminal. */
export function startProgress(text: string): Progress {
  if (!process.stderr.isTTY) return { show: () => undefined, stop: () => undefined };
  // The spinner's own signal handlers would end the process before the command has cleaned up.
  const spinner = yoctoSpinner({ text, stream: process.stderr, handleSignals: false }).start();
  return {
    show: (next) => {
      spinner.text = next;
    },
    stop: () => {
      spinner.stop();
    },
  };
}
