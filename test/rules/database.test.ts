import { strict as assert } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import {
  type MysqlClient, MysqlSessionStore, type PostgresClient, PostgresSessionStore, type SessionRecord, type SessionStoreOptions,
} from '../..';
import { columnsOf, escaped, keyColumn, patchOf, principalColumn, recordIn, type Row, unescaped } from '../../module/database/rows';
import { inDollars, inQuestionMarks } from '../../module/database/statement';
import { removeAllExpired, sweepEvery } from '../../module/database/sweep';

const ROW: Row = { data: '{}', meta: '{}', successor: null, lifetime: '60000', created_at: null, expires_at: '1700000000000', rev: '7' };

/** A row as drivers give it that turn bigints to strings, and what MySQL and PostgreSQL do to JSON: the members in another order. */
const rowOf = (record: SessionRecord): Row => {
  const { data, meta } = columnsOf(record);
  const sorted = (json: string) => JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(json)).sort(([ a ], [ b ]) => a.length - b.length)));
  return { ...ROW, data: sorted(data), meta: sorted(meta) };
};

const OWN = [ '_expire', '_rev', '_maxAge', '_session', '_storedAt' ];
const fieldsOf = (record: object | undefined) => Object.fromEntries(Object.entries(record!).filter(([ name ]) => !OWN.includes(name)));

describe('a statement', () => {
  const SQL = 'SELECT a::text FROM t WHERE k = :key AND e > :now::bigint\n    OR k = :key';
  it('of PostgreSQL has a number for each value', () => {
    const { text, names } = inDollars(SQL);
    assert.deepEqual([ text, names ], [ 'SELECT a::text FROM t WHERE k = $1 AND e > $2::bigint OR k = $1', [ 'key', 'now' ]]);
  });
  it('of MySQL has a question mark for each', () => {
    const { text, names } = inQuestionMarks('SELECT :a, :b, :a');
    assert.deepEqual([ text, names ], [ 'SELECT ?, ?, ?', [ 'a', 'b', 'a' ]]);
  });
});

describe('a row', () => {
  it('holds any record whose names and values JSON has', () => {
    const value = fc.jsonValue({ noUnicodeString: false });
    fc.assert(fc.property(fc.dictionary(fc.string({ unit: 'binary' }), value), record => {
      const kept = fieldsOf(recordIn(rowOf({ ...record, _maxAge: 60_000 })));
      const textOf = (each: object) => JSON.stringify(Object.entries(each).sort(([ a ], [ b ]) => (a < b ? -1 : 1)));
      assert.equal(textOf(kept), textOf(fieldsOf(JSON.parse(JSON.stringify(record)))));
    }));
  });

  it('keeps what would change an object', () => {
    const record = JSON.parse('{"__proto__":{"admin":true},"constructor":1}');
    assert.deepEqual(JSON.stringify(fieldsOf(recordIn(rowOf(record)))), '{"__proto__":{"admin":true},"constructor":1}');
  });

  it('has each field as the text of its JSON, those about the record apart', () => {
    assert.deepEqual(columnsOf({ userId: 1, cart: [ 'tea' ], _principal: '1', _maxAge: 5, _expire: 6, _rev: 7, _session: true, _storedAt: 8, none: undefined }),
      { data: '{"userId":"1","cart":"[\\"tea\\"]"}', meta: '{"_principal":"\\"1\\""}' });
  });

  it('is patched with null for what is removed, and with the text null for null', () => {
    assert.deepEqual(patchOf({ set: { a: null, _b: 1 }, unset: [ 'c', '_d', '_maxAge' ], replace: false }),
      { data: '{"a":"null","c":null}', meta: '{"_b":"1","_d":null}' });
  });

  for (const [ title, row, expected ] of [
    [ 'a lifetime', {}, { _expire: 1700000000000, _rev: 7, _maxAge: 60000 }],
    [ 'the browser\'s session', { lifetime: '0' }, { _expire: null, _rev: 7, _session: true }],
    [ 'bytes, and numbers', { data: Buffer.from('{"n":"1"}'), rev: 8 }, { _expire: 1700000000000, _rev: 8, _maxAge: 60000, n: 1 }],
    [ 'a creation by another clock', { meta: '{"_createdAt":"1000000"}', created_at: '900000' },
      { _expire: 1700000000000, _rev: 7, _maxAge: 60000, _storedAt: 900000, _createdAt: 1000000 }],
    [ 'a creation by the same clock', { meta: '{"_createdAt":"1000000"}', created_at: '1000900' },
      { _expire: 1700000000000, _rev: 7, _maxAge: 60000, _createdAt: 1000000 }],
    [ 'a tombstone', { data: null, successor: Buffer.from('next') }, { _successor: 'next' }],
    [ 'a tombstone of what has ended', { data: null }, { _successor: null }],
  ] as Array<[ title: string, row: Partial<Row>, expected: object ]>) {
    it(`is read: ${title}`, () => assert.deepEqual(recordIn({ ...ROW, ...row }), expected));
  }

  for (const data of [ '{', '[]', '7', 'null', '"text"', '{"n":1}', '{"n":"{"}', '{"n":"1,\\"m\\":2"}x' ]) {
    it(`is malformed with ${data}`, () => {
      const read = () => recordIn({ ...ROW, data });
      if (data === '[]') assert.deepEqual(fieldsOf(read()), {}); // nothing is in it
      else assert.throws(read, SyntaxError);
    });
  }

  it('has keys and principals that can be told apart, whatever is in them', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), text => {
      assert.equal(unescaped(escaped(text)), text);
      assert.doesNotMatch(escaped(text), /[\0-\x1f]/); // eslint-disable-line no-control-regex
    }));
    const long = 'x'.repeat(1025);
    assert.equal(keyColumn('x'.repeat(1024)).length, 1024);
    assert.throws(() => keyColumn(long), /more than 1024 bytes/);
    assert.throws(() => keyColumn('会'.repeat(400)), /more than 1024 bytes/);
    assert.match(principalColumn(long), /^"sha256-.{43}$/);
    assert.notEqual(principalColumn(long), principalColumn(`${long}x`));
    assert.notEqual(principalColumn(principalColumn(long)), principalColumn(long));
  });
});

describe('the removal of expired rows', () => {
  it('goes on until there are none, and counts them', async () => {
    const batches = [[ 100, 100, 1 ], [ 100, 0, 5 ], [ 3, 3, 7 ], [ 0, 0, NaN ], [ 9, 9, 9 ]];
    const asked: number[] = [];
    const removed = await removeAllExpired(async from => {
      asked.push(from);
      const [ found, rows, last ] = batches.shift()!; // those of the second one were renewed meanwhile
      return { found, rows, last };
    });
    assert.deepEqual([ removed, batches.length, asked ], [ 103, 1, [ 0, 1, 5, 7 ]]);
  });

  it('is done again and again, never twice at once, and tells of the first failure in a row', async () => {
    const told: string[] = [];
    let [ running, most, calls ] = [ 0, 0, 0 ];
    await new Promise<void>(resolve => {
      const stop = sweepEvery(async () => {
        most = Math.max(most, ++running);
        await sleep(10); // several times what is between two
        running--;
        calls++;
        if (calls === 6) {
          stop();
          resolve();
        }
        if (calls !== 4) throw new Error(`failure ${calls}`);
      }, 1, ({ message }) => told.push(message));
    });
    assert.equal(most, 1);
    assert.deepEqual(told, [ 'failure 1', 'failure 5' ]);
  });

  it('is off with 0', () => {
    sweepEvery(() => assert.fail(), 0, () => assert.fail())();
  });
});

describe('a call that the database has taken back', () => {
  const options = {} as SessionStoreOptions;
  /** A store whose client fails as often as it is told to, and then answers. */
  const failing = (times: number, error: object, reply: unknown) => {
    let calls = 0;
    const query = async () => {
      if (++calls <= times) throw Object.assign(new Error('taken back'), error);
      return reply;
    };
    return { query, calls: () => calls };
  };
  const postgres = (client: { query(): Promise<unknown> }) => new class extends PostgresSessionStore {
    protected readonly postgres = client as PostgresClient;
  }();
  const mysql = (client: { query(): Promise<unknown> }) => new class extends MysqlSessionStore {
    protected readonly mysql = client as MysqlClient;
  }();

  for (const [ what, error, store, reply ] of [
    [ 'a deadlock of PostgreSQL', { code: '40P01' }, postgres, { rows: [] }],
    [ 'a transaction that could not be serialized', { code: '40001' }, postgres, { rows: [] }],
    [ 'a deadlock of MySQL', { errno: 1213 }, mysql, []],
  ] as const) {
    it(`is made again, up to five times in all: ${what}`, async () => {
      const four = failing(4, error, reply);
      assert.equal(await store(four).get('id', 1, options), undefined);
      assert.equal(four.calls(), 5);
      const five = failing(5, error, reply);
      await assert.rejects(store(five).get('id', 1, options), /taken back/);
      assert.equal(five.calls(), 5);
    });
  }

  for (const [ what, error, store ] of [
    [ 'another error', { code: '22P02' }, postgres ], [ 'a lost connection', { code: 'ECONNRESET' }, mysql ], [ 'a missing table', { code: '42P01' }, postgres ],
    [ 'a missing table', { errno: 1146 }, mysql ],
  ] as const) {
    it(`is not made again after ${what}`, async () => {
      const one = failing(1, error, { rows: [] });
      await assert.rejects(store(one).destroy('id'), /taken back/);
      assert.equal(one.calls(), 1);
    });
  }

  it('gives up to move a session of MySQL that others write to all the time, or to remove many of its fields', async () => {
    const client = { query: async (sql = '') => (/^SELECT/.test(sql) ? [{ ...ROW }] : { affectedRows: 0, insertId: 0 }) };
    const changes = { set: {}, unset: Array.from({ length: 9 }, (_, i) => `f${i}`), replace: false };
    await assert.rejects(mysql(client).retire('id', 'next', 1000), /could not be changed: other requests wrote to it 100 times/);
    await assert.rejects(mysql(client).merge('id', changes), /could not be changed: other requests wrote to it 100 times/);
  });

  it('but ends it: who has a copy of the cookie can\'t keep the session by writing to it', async () => {
    const client = { query: async (sql = '') => (/^SELECT/.test(sql) ? [{ ...ROW }] : { affectedRows: / AND rev = /.test(sql) ? 0 : 1 }) };
    assert.ok(await mysql(client).retire('id', null, 1000));
  });

  for (const [ what, ids, calls ] of [[ 'in the transaction of the application, which is gone as a whole', [ 1, 1 ], 1 ], [ 'outside of one', [ 1, 2 ], 2 ]] as const) {
    it(`is ${calls === 1 ? 'not ' : ''}made again ${what}`, async () => {
      const left: number[] = [ ...ids ];
      let deletions = 0;
      const client = {
        beginTransactionScope: () => undefined,
        async query(sql = '') {
          if (/CONNECTION_ID/.test(sql)) return [{ id: left.pop() }];
          if (++deletions === 1) throw Object.assign(new Error('deadlock'), { errno: 1213 });
          return {};
        },
      };
      const call = mysql(client).destroy('id');
      await (calls === 1 ? assert.rejects(call, /deadlock/) : call);
      assert.equal(deletions, calls);
    });
  }

  it('is made without preparing a statement when the server of MySQL has too many of them', async () => {
    const client = {
      execute: () => Promise.reject(Object.assign(new Error('too many'), { errno: 1461 })),
      query: async () => [{ ...ROW, data: '{"n":"1"}' }],
    };
    assert.equal((await mysql(client).get('id', 1, options) as SessionRecord).n, 1);
  });

  it('has few different statements in MySQL, however many fields are removed', async () => {
    const texts = new Set<string>();
    const client = {
      async query(sql = '') {
        texts.add(sql);
        return /^SELECT/.test(sql) ? [{ ...ROW }] : { insertId: 1 };
      },
    };
    for (let n = 0; n < 100; n++) await mysql(client).merge('id', { set: {}, unset: Array.from({ length: n }, (_, i) => `f${i}`), replace: false });
    assert.equal(texts.size, 7, [ ...texts ].join('\n')); // for none, 1, 2, 4 and 8 of them, and the two for more
  });
});
