import { strict as assert } from 'node:assert';
import fs from 'node:fs';
import path from 'node:path';
import { DOCUMENTS, ROOT, textOf } from '../support/docs';
import { textsInSource } from '../support/texts';

/** Turns that readers stumbled over, each with what to write instead. */
const ENGLISH: Array<[ turn: RegExp, instead: string ]> = [
  [ /worth nothing/, 'worthless, or has ended' ],
  [ /what is done with/, 'the noun: use, action' ],
  [ /\bbecomes? of\b/, 'the event: is created, moves, ends' ],
  [ /\blies in a\b/, 'belongs in' ],
  [ /\bpasses? over\b/, 'ignores' ],
  [ /\bstops at `/, 'does not start with' ],
  [ /counts? as none/, 'is treated as missing, or is not used' ],
  [ /\bfor how many\b/i, 'the noun: duration, timeout' ],
  [ /\bwhose sessions? (there are|it is|is whose)/i, 'the sessions of a user, the index, the user of a session' ],
  [ /\b(of|to) who(ever)? (is|has|signs|asks)\b|\bwhoever's\b/, 'the signed-in user, the attacker' ],
  [ /requests? (of .{1,30} )?at the same time/i, 'concurrent requests' ],
  [ /\bfor ever\b/, 'without end, never ends' ],
  [ /can(no|')t be had/, 'is not available, can\'t be combined' ],
  [ /\b(is|are) told of\b/, 'the log warns of' ],
  [ /\bso many (ms|bytes|milliseconds)/, 'this many, at least' ],
  [ /without a word/, 'silently' ],
  [ /cookie of anybody/, 'forge a cookie' ],
  [ /\bplanted before\b/, 'session fixation' ],
];

const CHINESE: Array<[ turn: RegExp, instead: string ]> = [
  [ /克隆里/, '克隆本仓库后' ],
  [ /答复别人/, '处理其他客户端的请求' ],
  [ /打扰/, '不再调用' ],
  [ /(故障|问题)(排查|排除)|排错/, '疑难解答' ],
  [ /(?<![\w/.`'-])controller(?![\w/`'-])/, '控制器' ],
];

/** A document without its code. */
const proseOf = (text: string) => text.replace(/^ *```[^]*?^ *```$/gm, '').replace(/(`+)[^`][^]*?\1(?!`)/g, '`…`');

/** The docstrings of what the package types. */
const docstringsOf = (file: string) => [ ...fs.readFileSync(path.join(ROOT, file), 'utf8').matchAll(/\/\*\*[^]*?\*\//g) ]
  .map(([ text ]) => text.replace(/\n\s*\*/g, ' ')).join('\n');

function check(text: string, rules: typeof ENGLISH, where: string): void {
  const flat = text.replace(/\s+/g, ' ');
  const found = rules.flatMap(([ turn, instead ]) => {
    const [ hit ] = turn.exec(flat) ?? [];
    return hit === undefined ? [] : `${where}: "${hit}"; write rather: ${instead}`;
  });
  assert.deepEqual(found, []);
}

describe('the words of what users read', () => {
  for (const document of [ ...DOCUMENTS, 'CHANGELOG', 'CONTRIBUTING', 'SECURITY' ]) {
    it(`${document}.md`, () => check(proseOf(textOf(`${document}.md`)), ENGLISH, `${document}.md`));
  }

  for (const document of DOCUMENTS) {
    it(`${document}.zh-CN.md`, () => check(proseOf(textOf(`${document}.zh-CN.md`)), CHINESE, `${document}.zh-CN.md`));
  }

  it('the messages', () => {
    const texts = textsInSource();
    assert.ok(texts.length > 100);
    for (const { text, at } of texts) check(text, ENGLISH, at);
  });

  const { files } = JSON.parse(textOf('package.json')) as { files: string[] };
  for (const file of files.filter(name => name.endsWith('.d.ts')).map(name => name.replace(/d\.ts$/, 'ts'))) {
    it(`the docstrings of ${file}`, () => check(docstringsOf(file), ENGLISH, file));
  }

  it('are found wherever they stand', () => {
    assert.throws(() => check(proseOf('a cookie\nthat is worth\nnothing'), ENGLISH, 'a page'), /a page: .*worthless/s);
    assert.throws(() => check(proseOf('在本仓库的克隆里执行'), CHINESE, 'a page'), /克隆本仓库后/);
    check(proseOf('`worth nothing`\n```ts\n// worth nothing\n```\n'), ENGLISH, 'code');
  });
});
