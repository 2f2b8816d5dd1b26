import fs from 'node:fs';
import Module from 'node:module';
import path from 'node:path';
import ts from 'typescript';

export const ROOT = path.join(__dirname, '../..');

/** The English documents, by their paths from the repository without `.md`; in Chinese, that ends in `.zh-CN.md`. */
export const DOCUMENTS = [ 'README', ...fs.readdirSync(path.join(ROOT, 'docs'))
  .filter(file => /^[^.]+\.md$/.test(file)).map(file => `docs/${path.basename(file, '.md')}`) ];

export interface Block {
  language: string;
  code: string;
}

export const blocksIn = (text: string): Block[] =>
  [ ...text.matchAll(/^```(\w+)\n([^]*?)^```$/gm) ].map(([ , language, code ]) => ({ language, code }));

/** A document, by its path from the repository. */
export const textOf = (file: string) => fs.readFileSync(path.join(ROOT, file), 'utf8');

/** The blocks of code of a document, by its path from the repository. */
export const blocksOf = (file: string): Block[] => blocksIn(textOf(file));

/** Those of one of its sections, without the sections below that. */
export const blocksUnder = (file: string, heading: string): Block[] =>
  blocksIn(textOf(file).split(`\n${heading}\n`)[1].split(/^#{2,} .*$/m)[0]);

/** The files that a document shows whole: those whose path is in their first line, and the package.json of each module. */
export function filesOf(file: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const { language, code } of blocksOf(file)) {
    const name = language === 'json' ? JSON.parse(code).eggModule?.name : /^\/\/ (\S+\.[jt]s)(?!: )/.exec(code)?.[1];
    if (name) files.set(language === 'json' ? `app/module/${name}/package.json` : name, code);
  }
  return files;
}

/** What a block of TypeScript exports, when it stands beside `file`. */
export function exportsOf({ code }: Block, file = __filename): Record<string, any> {
  const example = Object.assign(new Module('example') as Module & { _compile(js: string, file: string): void }, {
    paths: module.paths, filename: file,
  });
  example._compile(ts.transpile(code, {
    experimentalDecorators: true, emitDecoratorMetadata: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS, esModuleInterop: true,
  }), file);
  return example.exports;
}

/** The configuration that a block has, be it whole or an addition to `config/config.default.ts`. */
export const configOf = ({ code }: Block): Record<string, any> =>
  exportsOf({ language: 'ts', code: /^export /m.test(code) ? code : `export default () => ({${code}});` }).default();
