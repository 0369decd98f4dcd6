/** A command line whose options don't go together; the command ends with the exit code of a wrong command line. */
export class UsageError extends RangeError {}
