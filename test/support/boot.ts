import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import type { SessionOptions } from '../..';
import { createApp } from './app';

/**
 * Boots a fixture application in a process of its own, as a boot that fails leaves tegg's registries in disorder.
 *
 * @return the message of the error that stops it, or undefined when it starts
 */
export async function bootError(name: string, session: SessionOptions = {}, env = {}): Promise<string | undefined> {
  // an undefined value keeps node from passing the variable on: the coverage of these processes is not wanted
  const { stdout } = await promisify(execFile)(process.execPath, [
    '-r', path.join(__dirname, 'transpile.js'), '-r', path.join(__dirname, 'env.ts'), __filename, name, JSON.stringify(session),
  ], { cwd: path.join(__dirname, '../..'), env: { ...process.env, NODE_V8_COVERAGE: undefined, ...env } });
  return JSON.parse(stdout.slice(stdout.lastIndexOf('\n{') + 1)).message;
}

if (require.main === module) {
  // Egg would log the loss of the test that waits for this, and lose that line too, and so on
  process.stdout.on('error', () => process.exit(1));
  const [ name, session ] = process.argv.slice(2);
  createApp(name, { session: JSON.parse(session) }).then(() => undefined, (err: Error) => err.message).then(message => {
    process.stdout.write(`\n${JSON.stringify({ message })}`, () => process.exit());
  });
}
