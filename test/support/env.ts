// Egg loads TypeScript files only when it is told to; its environment is `unittest` then
process.env.EGG_TYPESCRIPT = 'true';
process.env.NODE_ENV = 'test';
// what fails a test is thrown, the log is for looking closer: EGG_LOG=INFO npx mocha …
process.env.EGG_LOG ??= 'NONE';
process.env.NO_DEPRECATION ??= 'egg-logger';

/** Runs after the tests of each file. */
export const atEnd: Array<() => Promise<unknown>> = [];
export const mochaHooks = {
  async afterAll() {
    for (const end of atEnd) await end();
  },
};
