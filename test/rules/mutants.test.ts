import { strict as assert } from 'node:assert';
import fs from 'node:fs';
import path from 'node:path';
import { MUTANTS } from '../mutants';

const ROOT = path.join(__dirname, '../..');

describe('the faults of test/mutants.ts', () => {
  it('each have an id of their own', () => {
    assert.equal(new Set(MUTANTS.map(({ id }) => id)).size, MUTANTS.length);
  });

  it('can each be planted in one place, and change something', () => {
    const wrong = MUTANTS.filter(({ file, find, replace }) => find === replace || fs.readFileSync(path.join(ROOT, file), 'utf8').split(find).length !== 2);
    assert.deepEqual(wrong.map(({ id, file, find }) => `${id}: ${file}: ${find}`), []);
  });

  it('name tests that there are', () => {
    const wrong = MUTANTS.flatMap(({ id, tests }) => tests.filter(name => !fs.existsSync(path.join(ROOT, `test/${name}.test.ts`))).map(name => `${id}: ${name}`));
    assert.deepEqual(wrong, []);
  });
});
