import { strict as assert } from 'node:assert';
import type { Context } from 'egg';
import mm from 'egg-mock';
import { resolveConfig } from '../../module/options/SessionConfig';
import type { SessionRecord } from '../../module/record/SessionRecord';
import { indexMs, RecordMeta } from '../../module/repository/RecordMeta';
import type { SessionOptions } from '../..';

const NOW = 1_764_000_000_000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const ctx = (ip: string | undefined = '10.0.0.1', userAgent = 'a browser') => ({ ip, get: () => userAgent, app: {} }) as unknown as Context;

function metaOf(record: SessionRecord = {}, { options = {}, isIndexed = true, request = ctx() }: { options?: SessionOptions; isIndexed?: boolean; request?: Context } = {}) {
  const meta = new RecordMeta(request, resolveConfig({ principal: 'userId', ...options }), isIndexed);
  meta.load(record);
  return meta;
}

describe('what a record says about its session', () => {
  beforeEach(() => mm(Date, 'now', () => NOW));
  afterEach(() => mm.restore());

  it('is whose it is, when it was made and seen, and from where, in a store with an index', () => {
    assert.deepEqual(metaOf({ _createdAt: NOW - DAY }).of({ userId: 7 }), {
      _createdAt: NOW - DAY, _principal: '7', _seenAt: NOW, _ip: '10.0.0.1', _userAgent: 'a browser',
    });
  });

  it('is when it was made, and no more, of nobody\'s session', () => {
    assert.deepEqual(metaOf({ _createdAt: NOW - DAY }).of({ n: 1 }), { _createdAt: NOW - DAY });
  });

  it('is when it was made, and no more, where nothing lists it: in a cookie, and in a store without an index', () => {
    assert.deepEqual(metaOf({ _createdAt: NOW - DAY }, { isIndexed: false }).of({ userId: 7 }), { _createdAt: NOW - DAY });
  });

  it('is no longer than what may be of use, whatever a client sends', () => {
    const { _ip, _userAgent } = metaOf({}, { request: ctx('1'.repeat(1000), 'x'.repeat(1000)) }).of({ userId: 7 });
    assert.deepEqual([ _ip!.length, _userAgent!.length ], [ 64, 256 ]);
  });

  it('keeps the address that it had, where a request has none', () => {
    const kept = { userId: 7, _principal: '7', _ip: '10.0.0.9' };
    assert.equal(metaOf(kept, { request: { ...ctx(), ip: undefined } as unknown as Context }).of({ userId: 7 })._ip, '10.0.0.9');
  });

  it('can be read where the data give no principal: signing out must be possible', () => {
    const meta = metaOf({ userId: [ 1 ], _createdAt: NOW - DAY });
    assert.equal(meta.principal, undefined);
    assert.equal(meta.createdAt, NOW - DAY);
  });

  it('fails a write of data that give none, unless they are those that are kept', () => {
    const meta = metaOf({ userId: [ 1 ], _principal: '7' });
    assert.throws(() => meta.of({ userId: [ 1 ] }), /config\.session\.principal gives an array/);
    assert.equal(meta.of({ userId: [ 1 ] }, NOW, () => true)._principal, '7');
  });

  const DUE: Array<[ what: string, record: SessionRecord, is: boolean, given?: Parameters<typeof metaOf>[1] ]> = [
    [ 'of nobody\'s session', {}, false ],
    [ 'of one that was seen within a minute', { userId: 7, _principal: '7', _seenAt: NOW - MINUTE + 1 }, false ],
    [ 'of one that was seen a minute ago', { userId: 7, _principal: '7', _seenAt: NOW - MINUTE }, true ],
    [ 'of one that was seen in a minute, by another clock', { userId: 7, _principal: '7', _seenAt: NOW + MINUTE }, true ],
    [ 'of one that names nobody', { userId: 7, _seenAt: NOW }, true ],
    [ 'of one that names another one', { userId: 7, _principal: '8', _seenAt: NOW }, true ],
    [ 'of one that names somebody, and is nobody\'s', { _principal: '8', _seenAt: NOW }, true ],
    [ 'where nothing lists it', { userId: 7 }, false, { isIndexed: false }],
    [ 'of one from before absoluteMaxAge was set', {}, true, { isIndexed: false, options: { absoluteMaxAge: DAY } }],
    [ 'of one that has its age, under absoluteMaxAge', { _createdAt: NOW }, false, { isIndexed: false, options: { absoluteMaxAge: DAY } }],
  ];
  for (const [ what, record, is, given ] of DUE) {
    it(`is ${is ? '' : 'not '}due to be written ${what}`, () => {
      const { userId } = record;
      assert.equal(metaOf(record, given).isDue(userId === undefined ? {} : { userId }), is);
    });
  }

  // a quarter of the lifetime is the time for which the index may fail to be written, twice; a minute at least, a day at most
  const INDEX_MS = [[ 'session', DAY + 12 * HOUR ], [ MINUTE, 3 * MINUTE ], [ HOUR, HOUR + 30 * MINUTE ], [ 30 * DAY, 32 * DAY ]] as const;
  for (const [ maxAge, ms ] of INDEX_MS) {
    it(`is in the index for ${ms / MINUTE} min when the session lives for ${maxAge === 'session' ? maxAge : `${maxAge / MINUTE} min`}`, () => {
      assert.equal(indexMs(maxAge), ms);
    });
  }

  const MUST_INDEX: Array<[ seen: number, is: boolean ]> = [[ 0, true ], [ NOW, false ], [ NOW - 1, true ], [ NOW + MINUTE - 1, false ], [ NOW + MINUTE, true ]];
  it('is noted in the index again with the first write in each minute', () => {
    assert.equal(NOW % MINUTE, 0);
    for (const [ _seenAt, is ] of MUST_INDEX) assert.equal(metaOf({ _seenAt }).mustIndex({ _seenAt: NOW }), is, String(_seenAt - NOW));
  });

  const ENDS: Array<[ what: string, record: SessionRecord, end: number | undefined, absoluteMaxAge?: number ]> = [
    [ 'is none without absoluteMaxAge', { _createdAt: NOW }, undefined ],
    [ 'counts from when it was made', { _createdAt: NOW - HOUR }, NOW - HOUR + DAY, DAY ],
    [ 'counts by the clock of the store, where that is another one', { _createdAt: NOW, _storedAt: NOW - HOUR }, NOW - HOUR + DAY, DAY ],
  ];
  for (const [ what, record, end, absoluteMaxAge ] of ENDS) {
    it(`has an end that ${what}`, () => assert.equal(metaOf(record, { options: { absoluteMaxAge } }).absoluteEnd, end));
  }

  it('is of the next session once that has ended', () => {
    const meta = metaOf({ userId: 7, _principal: '7', _createdAt: NOW - DAY, _storedAt: NOW - DAY, _cookie: [{ path: '/a' }] }, { options: { absoluteMaxAge: HOUR } });
    meta.reset();
    assert.deepEqual([ meta.createdAt, meta.absoluteEnd, meta.principal, meta.indexedFor, meta.places ], [ NOW, NOW + HOUR, undefined, undefined, undefined ]);
  });
});
