import yoctoSpinner from 'yocto-spinner';

export interface Progress {
  readonly show: (text: string) => void;
  readonly stop: () => void;
}

/** A spinner on stderr while work goes on; silent where stderr isn't a terminal. */
export function startProgress(text: string): Progress {
  if (!process.stderr.isTTY) return { show: () => undefined, stop: () => undefined };
  // Its own handlers would end the process before the command has cleaned up.
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
