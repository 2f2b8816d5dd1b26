import { strict as assert } from 'node:assert';
import fs from 'node:fs';
import Module from 'node:module';
import path from 'node:path';
import ts from 'typescript';
import { type SessionStore, testSessionStore } from '..';

const ROOT = path.join(__dirname, '..');
const DOCUMENTS = [ 'README', 'docs/writing-a-store' ];
const DATABASE = 'export declare class Database { find(id: string): any; write(id: string, record: object, ms: number): any; remove(id: string): any }';

function blocksOf(file: string) {
  const text = fs.readFileSync(path.join(ROOT, file), 'utf8');
  return [ ...text.matchAll(/^```(\w+)\n([^]*?)^```$/gm) ].map(([ , language, code ]) => ({ language, code }));
}

/** What the compiler finds wrong in files that are only here, each by its path from the repository. */
function compile(files: Map<string, string>): string[] {
  const { config } = ts.readConfigFile(path.join(ROOT, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson({ ...config.compilerOptions, strictPropertyInitialization: false }, ROOT);
  const names = [ ...files.keys() ].map(file => path.join(ROOT, file));
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, directoryExists } = host;
  host.fileExists = file => names.includes(file) || fileExists(file);
  host.readFile = file => files.get(path.relative(ROOT, file)) ?? readFile(file);
  host.directoryExists = dir => names.some(name => name.startsWith(`${dir}/`)) || directoryExists!(dir);
  const program = ts.createProgram(names, options, host);
  return names.flatMap(name => ts.getPreEmitDiagnostics(program, program.getSourceFile(name))).map(({ file, messageText }) =>
    `${file && path.relative(ROOT, file.fileName)}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`);
}

describe('the code in the documents', () => {
  for (const file of DOCUMENTS) {
    it(`${file}.md: is the same in Chinese, but for its comments`, () => {
      const [ english, chinese ] = [ `${file}.md`, `${file}.zh-CN.md` ].map(name =>
        blocksOf(name).map(({ language, code }) => [ language, code.replace(/(?<=^|\s)(#|\/\/) .*$/gm, '') ]));
      assert.deepEqual(chinese, english);
    });
  }

  it('compiles', () => {
    const files = new Map<string, string>();
    for (const file of DOCUMENTS) {
      for (const [ i, { language, code }] of blocksOf(`${file}.md`).entries()) {
        if (language !== 'ts' || !/^import /m.test(code)) continue;
        const dir = file === 'README' ? `example-${i}` : 'example'; // the README has several classes of one name
        files.set(`${dir}/${/^\/\/ (\S+\.ts)$/m.exec(code)?.[1] ?? 'app/example.ts'}`, code);
        files.set(`${dir}/app/module/database/Database.ts`, DATABASE);
      }
    }
    assert.ok(files.size > 10);
    assert.deepEqual(compile(files), []);
  });
});

const example = Object.assign(new Module('example') as Module & { _compile(js: string, file: string): void }, { paths: module.paths });
example._compile(ts.transpile(blocksOf('docs/writing-a-store.md')[0].code, {
  experimentalDecorators: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS,
}), __filename);
testSessionStore('the example of docs/writing-a-store.md', () => new (example.exports.AppSessionStore as new () => SessionStore)());
