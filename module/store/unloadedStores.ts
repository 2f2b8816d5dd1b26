import fs from 'node:fs';
import path from 'node:path';

/** Folders that have no classes of the application, or those that are not meant to be loaded. */
const SKIPPED = /^(\..*|node_modules|logs|run|public|test|coverage|typings)$/;

/** How many files are read at most. */
const MOST = 2000;

const STORE = /^[ \t]*(?:export\s+)?(?:default\s+)?class\s+(\w+)\s+extends\s+[\w.]*SessionStore\b/m;

/** Classes that seem to be stores, in source files of an application that are in no module and that nothing has loaded; each with its file. */
export function unloadedStores(baseDir: string): Array<[ name: string, file: string ]> {
  const found: Array<[ string, string ]> = [];
  let left = MOST;
  for (const file of sources(fs.realpathSync(baseDir))) {
    if (left-- === 0) break;
    const [ , name ] = (!require.cache[file] && STORE.exec(fs.readFileSync(file, 'utf8'))) || [];
    if (name) found.push([ name, file ]);
  }
  return found;
}

function* sources(dir: string): Generator<string> {
  for (const entry of fs.readdirSync(dir, { withFileTypes: true })) {
    const file = path.join(dir, entry.name);
    if (entry.isDirectory()) {
      if (!SKIPPED.test(entry.name) && !isModule(file)) yield* sources(file);
    } else if (/\.[jt]s$/.test(entry.name) && !entry.name.endsWith('.d.ts')) {
      yield file;
    }
  }
}

/** Whether a folder is a module of tegg's: one that is not loaded was left out on purpose. */
function isModule(dir: string): boolean {
  const file = path.join(dir, 'package.json');
  return fs.existsSync(file) && /"eggModule"/.test(fs.readFileSync(file, 'utf8'));
}
