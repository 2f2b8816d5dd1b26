import { strict as assert } from 'node:assert';
import fs from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const ROOT = path.join(__dirname, '../..');
const read = (file: string) => fs.readFileSync(path.join(ROOT, file), 'utf8');

/** What stores throw, which reaches an application as the cause of an `ERR_SESSION_STORE` only, and what is caught. */
const INSIDE = [
  'module/store/KeyvSessionStore.ts', 'module/store/RedisSessionStore.ts', 'module/store/KeyedMutex.ts', 'module/store/GuardedStore.ts',
  'module/store/Deadlines.ts', 'module/store/CircuitBreaker.ts', 'module/store/written.ts',
  'module/database/SqlSessionStore.ts', 'module/database/mysql.ts', 'module/database/rows.ts',
];

const sources = fs.readdirSync(path.join(ROOT, 'module'), { recursive: true, encoding: 'utf8' })
  .filter(name => /(?<!\.d)\.ts$/.test(name)).map(name => `module/${name}`);

describe('errors', () => {
  const source = read('module/record/errors.ts');
  const codes = [ ...source.split('export type')[1].matchAll(/'(ERR_SESSION_\w+)'/g) ].map(([ , code ]) => code).sort();

  it('have the codes that the documents list', () => {
    assert.ok(codes.length > 10);
    for (const file of [ 'module/record/errors.ts', 'docs/troubleshooting.md', 'docs/troubleshooting.zh-CN.md' ]) {
      const rows = [ ...read(file).matchAll(/^[ *]*\| `(ERR_SESSION_\w+)` \|/gm) ].map(([ , code ]) => code);
      assert.deepEqual(rows.sort(), codes, file);
    }
  });

  it('have one wherever the source makes an error of its own', () => {
    let count = 0;
    for (const file of [ ...sources, 'app.ts' ]) {
      if (INSIDE.includes(file)) continue;
      const tree = ts.createSourceFile(file, read(file), ts.ScriptTarget.ES2022, true);
      const visit = (node: ts.Node): void => {
        if (ts.isNewExpression(node) && /^(Type|Range)?Error$/.test(node.expression.getText()) && node.getText().includes('[egg-tegg-session]')) {
          count++;
          const call = node.parent;
          assert.ok(ts.isCallExpression(call) && call.expression.getText() === 'coded', `${file}: ${node.getText()}`);
        }
        ts.forEachChild(node, visit);
      };
      visit(tree);
    }
    assert.ok(count > 25, String(count));
  });

  it('use each code', () => {
    const all = [ ...sources, 'app.ts' ].filter(file => file !== 'module/record/errors.ts').map(read).join();
    assert.deepEqual(codes.filter(code => !all.includes(`'${code}'`)), []);
  });
});
