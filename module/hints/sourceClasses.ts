import fs from 'node:fs';
import path from 'node:path';
import type { Application } from 'egg';

/** Folders that have no classes of the application, or those that are not meant to be loaded. */
const SKIPPED = /^(\..*|node_modules|logs|run|public|test|coverage|typings)$/;

/** The most files that are read. */
const MOST = 2000;

/** The most characters of a file that people write; larger ones are generated. */
const LONGEST = 200_000;

/** A class as the text of its file tells. */
export interface SourceClass {
  name: string;
  file: string;
  /** The class that it extends. */
  base?: string;
  isDecorated: boolean;
  isExported: boolean;
  /** Whether a decorator that takes arguments is not called, and takes the class for them. */
  lacksCall: boolean;
  /** Whether it extends a store by its name, or says that it implements `SessionStore`. */
  isStore: boolean;
  /** Whether tegg loads the file: it is in one of the application's modules. */
  isInModule: boolean;
  /** The field that has the session injected. */
  session?: string;
}

/** Tells whether a file is in one of the application's modules. */
export function moduleTest({ moduleReferences }: Application): (file: string) => boolean {
  const folders = moduleReferences.map(reference => fs.realpathSync(reference.path) + path.sep);
  return file => folders.some(folder => file.startsWith(folder));
}

/**
 * The classes in the source files of an application that are to be stores, or have the session injected. Classes that nothing
 * loads, or exports, can't be found in another way.
 */
export function sourceClasses(app: Application): SourceClass[] {
  const found: SourceClass[] = [];
  const isInModule = moduleTest(app);
  let left = MOST;
  for (const file of sources(fs.realpathSync(app.baseDir), isInModule)) {
    if (left-- === 0) break;
    const text = fs.readFileSync(file, 'utf8');
    if (text.length > LONGEST || !/SessionStore|Inject/.test(text)) continue;
    for (const clazz of classesIn(text)) found.push({ ...clazz, file, isInModule: isInModule(file) });
  }
  return found.filter(({ isStore, session }) => session !== undefined || isStore);
}

function* sources(dir: string, isInModule: (file: string) => boolean): Generator<string> {
  for (const entry of fs.readdirSync(dir, { withFileTypes: true })) {
    const file = path.join(dir, entry.name);
    if (entry.isDirectory()) {
      if (!SKIPPED.test(entry.name) && !isLeftOut(file, isInModule)) yield* sources(file, isInModule);
    } else if (/\.[jt]s$/.test(entry.name) && !entry.name.endsWith('.d.ts')) {
      yield file;
    }
  }
}

/** Whether a folder is a module of tegg's that is not loaded: that is meant. */
function isLeftOut(dir: string, isInModule: (file: string) => boolean): boolean {
  const file = path.join(dir, 'package.json');
  return fs.existsSync(file) && /"eggModule"/.test(fs.readFileSync(file, 'utf8')) && !isInModule(file);
}

/** Whether a file declares a field or a parameter of this name, of letters and digits, with the type `Session`. */
export const isDeclaredSession = (file: string, name: string): boolean =>
  fs.existsSync(file) && new RegExp(String.raw`\b${name}[!?]?\s*:\s*Session\b`).test(fs.readFileSync(file, 'utf8'));

const COMMENT = /\/\*[^]*?\*\/|(?<=^|\s)\/\/.*$/gm;
const ARGUMENTS = String.raw`\((?:[^()]|\([^()]*\))*\)`;
const CLASS = new RegExp(String.raw`^[ \t]*((?:@[\w.]+(?:${ARGUMENTS})?\s+)*)(export\s+)?(?:default\s+)?((?:@[\w.]+(?:${ARGUMENTS})?\s+)*)` +
  String.raw`(?:(?:let|const|var)\s+\w+\s*=\s*)?class\s+(\w+)(?:\s+extends\s+([\w.]+))?`, 'gm');
const INJECTED = new RegExp(String.raw`@Inject(${ARGUMENTS})\s*(?:(?:private|protected|public|readonly|declare|override)\s+)*(\w+)[!?]?\s*(?::\s*(\w+))?`, 'g');

/** Also what TypeScript compiles to, or is written like that by hand. */
function* classesIn(source: string): Generator<Omit<SourceClass, 'file' | 'isInModule'>> {
  const text = source.replace(COMMENT, '');
  const classes = [ ...text.matchAll(CLASS) ];
  for (const [ i, match ] of classes.entries()) {
    const [ , before, exported, after, name, base ] = match;
    const body = text.slice(match.index, classes[i + 1]?.index);
    const isApplied = new RegExp(String.raw`\b${name}\s*=\s*(?:${name}_1\s*=\s*)?(?:\w+\.|\(0,\s*\w+\.)?__decorate\)?\(|(?:\)\(|\],)\s*${name}\s*[,)]`).test(text);
    const isPassedOn = new RegExp(String.raw`\bexport\s*(?:default\s+${name}\b|\{[^}]*\b${name}\b)|\bexports(?:\.\w+)?\s*=\s*(?:\{[^}]*\b)?${name}\b`).test(text);
    yield {
      name,
      base: base?.split('.').at(-1),
      isDecorated: Boolean(before || after) || isApplied,
      isExported: Boolean(exported) || isPassedOn,
      lacksCall: /@(?:\w+\.)?(?:Singleton|Context)?Proto\b(?!\()/.test(before + after),
      isStore: Boolean(base?.endsWith('SessionStore')) || /^[^{]*\bimplements\b[^{]*\bSessionStore\b/.test(text.slice(match.index + match[0].length)),
      session: sessionIn(body, INJECTED) ?? sessionIn(text,
        new RegExp(String.raw`\bInject\)?(${ARGUMENTS})[^\]]*\],\s*${name}\.prototype,\s*['"](\w+)['"]`, 'g')),
    };
  }
}

function sessionIn(text: string, injected: RegExp): string | undefined {
  for (const [ , args, field, type ] of text.matchAll(injected)) {
    const named = /['"](\w+)['"]/.exec(args)?.[1];
    if (named ? named === 'session' : field === 'session' || type === 'Session') return field;
  }
  return undefined;
}
