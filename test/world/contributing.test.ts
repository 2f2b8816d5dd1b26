import { strict as assert } from 'node:assert';
import { blocksOf, exportsOf, textOf } from '../support/docs';

describe('CONTRIBUTING.md', () => {
  it('names scripts that there are', () => {
    const { scripts } = JSON.parse(textOf('package.json'));
    const named = [ ...textOf('CONTRIBUTING.md').matchAll(/npm (?:run )?(start|test|(?<=run )[\w-]+)/g) ].map(([ , name ]) => name);
    assert.ok(named.includes('pack-check'));
    for (const name of named) assert.ok(name in scripts, name);
  });

  describe('has a test that passes:', () => {
    exportsOf(blocksOf('CONTRIBUTING.md').find(({ language }) => language === 'ts')!, __filename);
  });
});
