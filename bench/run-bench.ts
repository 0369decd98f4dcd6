/** Runs a bench's main: a bad option or a signal ends it with one line, a fault of its own with its stack. */
export async function runBench(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    const wasSignalled = process.exitCode !== undefined;
    if (!(error instanceof RangeError) && !wasSignalled) throw error;
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode ??= 2;
  }
}
