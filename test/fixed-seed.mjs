// Imported before each file of tests: property tests draw the same inputs at each run.
import fc from 'fast-check';

fc.configureGlobal({ seed: Number(process.env.MAFAT_TEST_SEED) });
