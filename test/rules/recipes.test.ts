import { strict as assert } from 'node:assert';
import fs from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const ROOT = path.join(__dirname, '../..');
const read = (file: string) => fs.readFileSync(path.join(ROOT, file), 'utf8');

/** The names of the members of a class or an interface. */
function membersOf(file: string, name: string): string[] {
  const source = ts.createSourceFile(file, read(file), ts.ScriptTarget.ES2022, true);
  const found = source.statements.filter((node): node is ts.ClassDeclaration | ts.InterfaceDeclaration =>
    (ts.isClassDeclaration(node) || ts.isInterfaceDeclaration(node)) && node.name?.text === name);
  return [ ...new Set(found.flatMap(({ members }) => [ ...members ]).flatMap(member => (member.name && (ts.isIdentifier(member.name) || ts.isStringLiteral(member.name))
    ? [ member.name.text ] : []))) ];
}

const inBoth = (name: string) => [ `docs/${name}.md`, `docs/${name}.zh-CN.md` ];

describe('the recipes of docs/architecture.md', () => {
  it('a method of the injected session is documented, and no field has its name', () => {
    const members = membersOf('module/access/Session.ts', 'Session');
    assert.ok(members.length > 8, String(members));
    const { RESERVED_WHEN_INJECTED, RESERVED } = Object.fromEntries([ ...read('module/record/SessionRecord.ts').matchAll(/const (RESERVED\w*) = new Set\(\[([^\]]*)\]/g) ]
      .map(([ , name, list ]) => [ name, [ ...list.matchAll(/'(\w+)'/g) ].map(([ , each ]) => each) ]));
    for (const member of members) {
      assert.ok([ ...RESERVED, ...RESERVED_WHEN_INJECTED ].includes(member), `${member} is not reserved`);
      if (RESERVED_WHEN_INJECTED.includes(member)) assert.match(read('module/access/injectSession.ts'), new RegExp(`key === '${member}'`), `${member} is not made`);
      for (const file of inBoth('sessions')) assert.match(read(file), new RegExp(`\\b${member}\\b`), `${file} lacks ${member}`);
    }
  });

  it('an event is documented', () => {
    const events = membersOf('module/record/events.ts', 'SessionEvents');
    assert.ok(events.length > 5);
    for (const file of inBoth('events')) {
      const rows = [ ...read(file).matchAll(/^\| `(session:\w+)` \|/gm) ].map(([ , name ]) => name);
      assert.deepEqual(rows.sort(), events.sort(), file);
    }
  });

  it('a store that ships is exported, packed and documented', () => {
    const { files } = JSON.parse(read('package.json')) as { files: string[] };
    const stores = [ 'store', 'database' ].flatMap(room => fs.readdirSync(path.join(ROOT, 'module', room))
      .flatMap(name => /^(\w+SessionStore)\.ts$/.exec(name)?.[1] ?? []).map(name => ({ room, store: name })));
    assert.ok(stores.length > 5);
    for (const { room, store } of stores) {
      assert.match(read('index.ts'), new RegExp(`\\b${store}\\b`), store);
      assert.ok(files.includes(`module/${room}/${store}.d.ts`), store);
      for (const file of inBoth('stores')) assert.match(read(file), new RegExp(store), file);
    }
  });

  it('a test of an invariant exists', () => {
    for (const file of inBoth('architecture')) {
      const [ , table ] = /^## (?:Invariants|不变量)\n([^]*?)\n## /m.exec(read(file))!;
      const names = table.split('\n').filter(line => line.startsWith('| ')).slice(2)
        .flatMap(line => [ ...line.split('|').at(-2)!.matchAll(/`([\w/-]+)`/g) ].map(([ , name ]) => name));
      assert.ok(names.length > 20);
      for (const name of names) assert.ok(fs.existsSync(path.join(ROOT, `test/${name}.test.ts`)), `${file}: ${name}`);
    }
  });

  it('a file that the page names is there', () => {
    for (const file of inBoth('architecture')) {
      for (const [ , name ] of read(file).matchAll(/`((?:access|request|device|repository|cookie|options|database|store|record)\/\w+\.ts)`/g)) {
        assert.ok(fs.existsSync(path.join(ROOT, 'module', name)), `${file}: ${name}`);
      }
    }
  });
});
