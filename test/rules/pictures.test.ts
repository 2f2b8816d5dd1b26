import { strict as assert } from 'node:assert';
import fs from 'node:fs';
import path from 'node:path';
import { pictures } from '../../scripts/pictures';

describe('the diagrams of the documents', () => {
  for (const [ file, content ] of pictures()) {
    it(`${file}: is what \`npm run pictures\` draws`, () => {
      assert.equal(fs.readFileSync(path.join(__dirname, '../..', file), 'utf8'), content);
    });
  }
});
