import { strict as assert } from 'node:assert';
import fs from 'node:fs';
import path from 'node:path';

const ROOT = path.join(__dirname, '../..');
const rows = [ ...fs.readFileSync(path.join(ROOT, 'test/README.md'), 'utf8').split('| source | tests |\n')[1].matchAll(/^\| (`.*`) \| (`.*`) \|$/gm) ]
  .map(([ , sources, tests ]) => ({ sources: names(sources), tests: names(tests) }));

function names(cell: string): string[] {
  return [ ...cell.matchAll(/`([^`]+)`/g) ].map(([ , name ]) => name);
}

describe('the table of test/README.md', () => {
  it('has each source file once', () => {
    const listed = rows.flatMap(({ sources: [ first, ...more ] }) => [ first, ...more.map(name => path.join(path.dirname(first), name)) ]);
    const files = [ 'app', 'module', 'testing' ].flatMap(dir => fs.readdirSync(path.join(ROOT, dir), { recursive: true, encoding: 'utf8' }).map(name => path.join(dir, name)))
      .filter(name => name.endsWith('.ts') && !name.endsWith('.d.ts')).concat('app.ts', 'agent.ts');
    assert.ok(files.length > 70);
    assert.deepEqual(listed.toSorted(), files.toSorted());
  });

  it('names tests that there are', () => {
    const tests = rows.flatMap(row => row.tests);
    assert.deepEqual(tests.filter(name => !fs.existsSync(path.join(ROOT, `test/${name}.test.ts`))), []);
  });
});
