import { strict as assert } from 'node:assert';
import { textOf } from '../support/docs';
import { HOLE, patternOf, textsInSource } from '../support/texts';

const FILES = [ 'docs/troubleshooting.md', 'docs/troubleshooting.zh-CN.md' ];

/** Which messages are the plugin's own. */
const OWN = /^\[(egg-tegg-)?session\]/;

/** What nobody reads: it is caught, or can't happen. */
const INTERNAL = [ 'no record of a session', 'no fields of a session', 'no field of a session', `a nonce has ${HOLE} bytes, not ${HOLE}` ];

/** The pieces of code in the text of a document, with spaces in place of line ends. */
const codeIn = (file: string) => [ ...textOf(file).replace(/^```[^]*?^```$/gm, '').matchAll(/(`+)([^`](?:[^]*?[^`])??)\1(?!`)/g) ]
  .map(([ , , code ]) => code.trim().replace(/\s+/g, ' '));

const headingsOf = (file: string) => [ ...textOf(file).matchAll(/^### (`+) ?(.*?) ?\1$/gm) ].map(([ , , text ]) => text);

const listed = (lines: string[], what: string) => assert.ok(lines.length === 0, `${what}:\n${lines.join('\n')}\n`);

describe('docs/troubleshooting', () => {
  const texts = textsInSource().filter(({ text }) => !INTERNAL.includes(text));

  for (const file of FILES) {
    it(`${file}: has every message of the source`, () => {
      const code = codeIn(file);
      const isShown = (text: string) => code.some(each => patternOf(text).test(each));
      assert.ok(texts.length > 100);
      listed(texts.filter(({ text }) => !isShown(text)).map(({ text, at }) => `${at}: ${text}`), `${file} lacks`);
    });

    it(`${file}: has no message that the source does not have`, () => {
      const own = texts.filter(({ text }) => OWN.test(text)).map(({ text }) => new RegExp(`^${patternOf(text).source}$`));
      const known = (message: string) => own.some(pattern => pattern.test(message));
      const messages = codeIn(file).filter(code => OWN.test(code) && /[a-z]+ /.test(code));
      assert.ok(messages.length > 60);
      listed(messages.filter(message => !known(message)), `${file} has`);
    });
  }

  it('has the same headings in Chinese', () => {
    assert.deepEqual(headingsOf(FILES[1]), headingsOf(FILES[0]));
  });
});

describe('the texts of the source', () => {
  it('are found however they are written', () => {
    const all = texts();
    for (const text of [
      'If its server can\'t be reached, check that it runs, and the host, the port and the password of its client',
      `[egg-tegg-session] session.update() took longer than ${HOLE} s: fn is slow, or other requests changed the session each time. Let fn be quick, and make slow calls before or after it`,
      'this is a schedule, which belongs to no user. Use sessionRegistry, or pass on the values that are needed',
      `[session][missed] key(${HOLE})`,
      `[session][${HOLE}] key(${HOLE}) value(${HOLE})`,
    ]) assert.ok(all.includes(text), text);
  });

  const texts = () => textsInSource().map(({ text }) => text);
});
