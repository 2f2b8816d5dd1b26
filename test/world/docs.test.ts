import { strict as assert } from 'node:assert';
import fs from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { resolveConfig } from '../../module/options/SessionConfig';
import { blocksOf, blocksUnder, configOf, DOCUMENTS, filesOf, ROOT, textOf } from '../support/docs';

const MEMORY_STORE = blocksUnder('docs/stores.md', '## In memory, for development and tests')[0].code;

/** What the examples of the documents need and don't show, by its path in the application. */
const ELSEWHERE = {
  'app/module/account/AccountService.ts': filesOf('README.md').get('app/module/account/AccountService.ts')!,
  'app/module/account/LogoutTokens.ts': 'export declare class LogoutTokens { verify(token?: string): Promise<number | undefined> }',
  'app/module/database/Database.ts':
    'export declare class Database { find(id: string): any; write(id: string, record: object, ms: number): any; remove(id: string): any }',
  'app/module/store/AppSessionStore.ts': MEMORY_STORE,
  'app/module/server/ServerSessionStore.ts':
    'import { MemorySessionStore } from "egg-tegg-session"; export class ServerSessionStore extends MemorySessionStore { constructor(readonly port: number) { super(); } }',
};

/** What some lines without an import are part of. */
const AROUND: Array<[ begin: RegExp, before: string, after: string ]> = [
  [ /^\/\/ config\/plugin\.ts: /, 'import type { EggPlugin } from "egg"; export const plugin: EggPlugin = {', '};' ],
  [ /^\/\/ config\/config\.\w+\.ts: /, `import type { EggAppConfig, PowerPartial } from 'egg'; import fs from 'node:fs'; import Redis from 'ioredis'; import net from 'node:net';
    export const config: PowerPartial<EggAppConfig> = {`, '};' ],
  [ /^/, `import type { Agent, Application } from 'egg'; import type { MockApplication } from 'egg-mock';
    import type { Session } from 'egg-tegg-session';
    declare const app: Application & MockApplication, agent: Agent, session: Session & Record<string, any>;
    declare const cart: Map<string, number>, seen: Set<string>, signOut: (userId: number) => Promise<void>;
    export async function example(this: { session: Session }) {`, '}' ],
];

function whole(code: string): string {
  if (/^(import|export) /m.test(code)) return code;
  const [ , before, after ] = AROUND.find(([ begin ]) => begin.test(code))!;
  return `${before}\n${code}\n${after}`;
}

/** The TypeScript of the documents: an application for each, and for each file that it shows once more. */
function applications(): Map<string, string> {
  const files = new Map<string, string>();
  for (const document of DOCUMENTS) {
    for (const [ i, { language, code }] of blocksOf(`${document}.md`).entries()) {
      if (language !== 'ts') continue;
      const name = /^import /m.test(code) && /^\/\/ (\S+\.ts)\b/m.exec(code)?.[1] || `app/example-${i}.ts`;
      const application = path.basename(document);
      files.set(files.has(`${application}/${name}`) ? `${application}-${i}/${name}` : `${application}/${name}`, whole(code));
    }
  }
  for (const application of new Set([ ...files.keys() ].map(file => file.split('/')[0]))) {
    for (const [ name, code ] of Object.entries(ELSEWHERE)) {
      if (!files.has(`${application}/${name}`)) files.set(`${application}/${name}`, code);
    }
  }
  return files;
}

/** What the compiler finds wrong in files that are only here, with the options that the README teaches. */
function compile(files: Map<string, string>): string[] {
  const { compilerOptions } = JSON.parse(blocksOf('README.md').find(({ code }) => code.includes('"compilerOptions"'))!.code);
  const { options } = ts.convertCompilerOptionsFromJson({ ...compilerOptions, types: [ 'node', 'mocha' ], noEmit: true }, ROOT);
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

/** As GitHub makes them of headings. */
const anchorsOf = (file: string) => [ ...textOf(file).replace(/^```[^]*?^```$/gm, '').matchAll(/^#+ (.*)$/gm) ]
  .map(([ , heading ]) => heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-'));

/** Where the links of a document lead, to files of the repository that have what they name. */
function linksOf(name: string): Array<{ file: string; target: string }> {
  const text = textOf(name).replace(/^```[^]*?^```$/gm, '');
  const links = [ ...text.matchAll(/\]\(([^)]+)\)|(?:src|srcset)="([^"]+)"/g) ].map(([ , link, picture ]) => link ?? picture);
  return links.filter(link => !/^https?:/.test(link)).map(link => {
    const [ file, anchor ] = link.split('#');
    const target = file ? path.join(path.dirname(name), file) : name;
    assert.ok(fs.existsSync(path.join(ROOT, target)), link);
    if (anchor) assert.ok(anchorsOf(target).includes(anchor), link);
    return { file, target };
  });
}

describe('the documents', () => {
  for (const name of [ 'README.md', 'README.zh-CN.md' ]) {
    it(`${name}: has less than 300 lines`, () => {
      assert.ok(textOf(name).split('\n').length <= 300);
    });
  }

  for (const document of DOCUMENTS) {
    const [ english, chinese ] = [ `${document}.md`, `${document}.zh-CN.md` ];

    it(`${english}: has the same code in Chinese, but for its comments`, () => {
      const codeOf = (name: string) => blocksOf(name).map(({ language, code }) =>
        [ language, code.replace(/(?<=^|\s)(#|\/\/) .*$/gm, '') ]);
      assert.deepEqual(codeOf(chinese), codeOf(english));
    });

    it(`${english}: has the same sections in Chinese`, () => {
      const levels = (name: string) => anchorsOf(name).length;
      assert.equal(levels(chinese), levels(english));
    });

    for (const name of [ english, chinese ]) {
      it(`${name}: links to what is there, in its own language`, () => {
        for (const { file, target } of linksOf(name)) {
          if (!/^(README|docs\/)/.test(target) || !target.endsWith('.md')) continue;
          const isOther = file && [ english, chinese ].includes(target);
          assert.equal(target.endsWith('.zh-CN.md'), name === (isOther ? english : chinese), target);
        }
      });
    }
  }

  for (const name of [ 'CONTRIBUTING.md', 'SECURITY.md' ]) {
    it(`${name}: links to what is there`, () => linksOf(name));
  }

  it('README.md: links to each other document', () => {
    for (const document of DOCUMENTS.slice(1)) assert.ok(textOf('README.md').includes(`](${document}.md)`), document);
  });

  it('docs/options.md: has every option, and the README their names', () => {
    const source = ts.createSourceFile('SessionOptions.ts', textOf('module/options/SessionOptions.ts'), ts.ScriptTarget.ES2022);
    const type = source.statements.find(ts.isInterfaceDeclaration)!;
    const options = type.members.map(member => (member.name as ts.Identifier).text).sort();
    for (const [ name, heading ] of [[ 'docs/options.md', '# Options' ], [ 'docs/options.zh-CN.md', '# 选项' ]]) {
      const rows = [ ...textOf(name).split(heading)[1].matchAll(/^\| (`.*?) \|/gm) ];
      assert.deepEqual(rows.flatMap(([ , cell ]) => cell.match(/\w+/g)).sort(), options, name);
    }
    for (const [ name, heading ] of [[ 'README.md', '\n## Options\n' ], [ 'README.zh-CN.md', '\n## 选项\n' ]]) {
      const [ section ] = textOf(name).split(heading)[1].split('\n## ');
      assert.deepEqual([ ...section.matchAll(/`(\w+)`/g) ].map(([ , option ]) => option).sort(), options, name);
    }
  });
});

describe('the code in the documents', () => {
  it('compiles', () => {
    const files = applications();
    assert.ok(files.size > 60);
    assert.deepEqual(compile(files), []);
  });

  it('in JSON, parses', () => {
    const blocks = DOCUMENTS.flatMap(document => blocksOf(`${document}.md`)).filter(({ language }) => language === 'json');
    assert.ok(blocks.length > 5);
    for (const { code } of blocks) JSON.parse(code);
  });

  it('in a tegg module, comes with the package.json of the module', () => {
    for (const document of DOCUMENTS) {
      if (document === 'docs/troubleshooting') continue; // the application is there
      const files = filesOf(`${document}.md`);
      for (const file of files.keys()) {
        const [ module ] = /^app\/module\/\w+\//.exec(file) ?? [];
        if (module) assert.ok(files.has(`${module}package.json`), `${document}.md: ${file}`);
      }
    }
  });

  it('configures sessions with options that are good', () => {
    const configs = DOCUMENTS.flatMap(document => blocksOf(`${document}.md`))
      .filter(({ language, code }) => language === 'ts' && /^\/\/ config\/config/.test(code) && !code.includes('Redis')).map(configOf);
    assert.ok(configs.length > 6);
    for (const { session } of configs) resolveConfig(session ?? {});
  });

  it('in a shell, runs scripts that are there, and installs the versions that are tested', () => {
    const { scripts, devDependencies, dependencies, version } = JSON.parse(textOf('package.json'));
    const tested: Record<string, string> = { ...devDependencies, ...dependencies, 'egg-tegg-session': version };
    for (const document of DOCUMENTS) {
      for (const { code } of blocksOf(`${document}.md`).filter(({ language }) => language === 'sh')) {
        for (const [ , script ] of code.matchAll(/npm run (\S+)/g)) assert.ok(script === 'dev' || script in scripts, script);
        for (const [ , args ] of code.replaceAll('\\\n', ' ').matchAll(/npm install (.*)/g)) {
          for (const [ , name, major ] of args.matchAll(/(?<=^| )(@?[\w/-]+)(?:@(\d+)\S*)?/g)) {
            if (name.startsWith('--') || !major || !tested[name]) continue;
            assert.equal(major, /\d+/.exec(tested[name])![0], `${document}.md installs ${name}@${major}`);
          }
        }
      }
    }
  });
});
