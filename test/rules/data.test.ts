import { strict as assert } from 'node:assert';
import { inspect } from 'node:util';
import { ChangeTracker } from '../../module/record/ChangeTracker';
import type { ContextSession } from '../../module/record/SessionData';
import { dataOf, type SessionRecord } from '../../module/record/SessionRecord';
import { Snapshot } from '../../module/record/Snapshot';
import { assigned, destroyed, EMPTY, opened, regenerating, type State, UNREAD, updated, written } from '../../module/request/state';

/** The data of a request; with `kept`, of one that has read them. */
function tracker(kept?: SessionRecord, now: SessionRecord = kept ?? {}) {
  const given = kept && structuredClone(kept);
  return new ChangeTracker({ ...given, ...now } as ContextSession, kept ? Snapshot.of(kept) : Snapshot.EMPTY, given);
}

describe('the data of a session', () => {
  it('are all but what is about the record, and what would change an object', () => {
    const record = JSON.parse('{"n":1,"_maxAge":1,"save":1,"__proto__":{"isAdmin":true},"constructor":1,"maxAge":1,"update":1}');
    assert.deepEqual(dataOf(record), { n: 1, update: 1 });
    assert.equal(dataOf(record).isAdmin, undefined);
  });

  const SAME: Array<[ value: unknown, as: unknown ]> = [[ NaN, null ], [ -Infinity, null ], [ -0, 0 ], [{ a: NaN }, { a: null }], [[ undefined ], [ null ]], [ new Date(0), new Date(0).toJSON() ]];
  for (const [ value, as ] of SAME) {
    it(`have not changed when a field is ${inspect(value)}, and JSON has kept it`, () => {
      const data = tracker({ field: as }, { field: value });
      assert.equal(data.isChanged(data.now()), false);
      assert.deepEqual(data.now().toData(), { field: as });
    });
  }

  it('are JSON whatever their names and values are, with members after them', () => {
    const data: SessionRecord = {
      n: 1, 'a-b': -1e21, 'x":1,"_createdAt': 'a "quoted" text\n', '\\': null, '': true, 会话: '🦆', '\u2028': [ 'a"' ], o: { 'p"': { q: [] } },
    };
    assert.equal(Snapshot.of(data).toJson(',"_maxAge":1'), JSON.stringify({ ...data, _maxAge: 1 }));
    assert.equal(Snapshot.EMPTY.toJson(',"_maxAge":1'), '{"_maxAge":1}');
  });

  it('are taken over from an update(), but where the request has changed them meanwhile', () => {
    const data = tracker({ a: 1, b: 1, c: 1, d: 1 });
    const seen = data.now();
    data.session.a = 2;
    delete (data.session as SessionRecord).c;
    data.applyExternal({ a: 9, b: 9, c: 9, e: 9 }, seen);
    assert.deepEqual({ ...data.session }, { a: 2, b: 9, e: 9 });
  });

  it('that others have changed are theirs, but where this request has changed them', () => {
    const data = tracker({ a: 1, b: 1, c: 1, d: 1 }, { a: 2 });
    assert.deepEqual(data.changesOfOthers({ a: 9, b: 9, c: 1, e: 1, _maxAge: 1 }, data.now()), { set: { b: 9, e: 1 }, unset: [ 'd' ], replace: false });
    data.replacesAll = true;
    assert.deepEqual(data.changesOfOthers({ b: 9 }, data.now()), { set: {}, unset: [], replace: false });
  });

  it('of a session that has ended are dropped, but what the request has assigned', () => {
    const loaded = { a: 1, b: 1, list: [ 1 ], other: [ 1 ] };
    const session = Object.assign(Object.create({
      toJSON() {
        return { ...this };
      },
    }), loaded);
    const data = new ChangeTracker(session, Snapshot.of(loaded), loaded);
    session.b = 2;
    session.c = 3;
    data.dropLoaded(loaded);
    assert.deepEqual({ ...session }, { b: 2, c: 3 });
  });
});

describe('the state of a request\'s session', () => {
  const saved = opened(UNREAD, { state: 'saved', record: { n: 1 }, cookie: 'good' });
  const facts = ({ at, ...more }: State) => ({ at, cookie: Reflect.get(more, 'cookie'), written: Reflect.get(more, 'written'), failed: Reflect.get(more, 'regenerateFailed') });

  const STEPS: Array<[ step: string, state: State, is: object ]> = [
    [ 'is saved, and not written yet, when it was read', saved, { at: 'saved', cookie: 'current', written: false, failed: false }],
    [ 'is saved, and its cookie to be written anew, when that is under an old key', opened(UNREAD, { state: 'saved', record: {}, cookie: 'stale' }),
      { at: 'saved', cookie: 'stale', written: false, failed: false }],
    [ 'is written, and its cookie to be sent, after an update()', updated(saved), { at: 'saved', cookie: 'stale', written: true, failed: false }],
    [ 'is to move while a regenerate() is under way', regenerating(saved), { at: 'saved', cookie: 'current', written: false, failed: true }],
    [ 'is to move when it is new, too', regenerating(EMPTY), { at: 'new', cookie: 'none', written: undefined, failed: true }],
    [ 'need not move any more once it was written', written(regenerating(saved)), { at: 'saved', cookie: 'current', written: true, failed: false }],
    [ 'is destroyed when it ends with the data that it had', destroyed(saved, undefined), { at: 'destroyed', cookie: undefined, written: undefined, failed: undefined }],
  ];
  for (const [ step, state, is ] of STEPS) it(step, () => assert.deepEqual(facts(state), is));

  it('replaces all that is kept when data are assigned, where something is', () => {
    for (const [ state, replacesAll ] of [[ saved, true ], [ EMPTY, false ], [ destroyed(saved, undefined), false ]] as const) {
      const data = tracker();
      const next = assigned(state, data);
      assert.deepEqual([ next.data, data.replacesAll ], [ data, replacesAll ], state.at);
    }
  });

  it('is new when data were assigned while it ended, and they replace nothing', () => {
    const data = tracker();
    const next = destroyed(assigned(saved, data), tracker({ n: 1 }));
    assert.deepEqual([ next.at, next.data, data.replacesAll ], [ 'new', data, false ]);
  });
});
