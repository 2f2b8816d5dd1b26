import { strict as assert } from 'node:assert';
import { EventEmitter } from 'node:events';
import fc from 'fast-check';
import mm, { type MockApplication } from 'egg-mock';
import pg from 'pg';
import { type SessionRecord, type SessionStoreOptions, type SqlSessionStore } from '../..';
import { Client, createApp } from '../support/app';
import { DATABASES, type TestDatabase, TestPostgresStore, postgresPool } from '../support/databases';
import { startPostgres, until } from '../support/servers';

const options = { ctx: { coreLogger: { error: () => undefined } } } as unknown as SessionStoreOptions;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

for (const [ name, { open, store: storeOf }] of Object.entries(DATABASES)) {
  describe(`the store for ${name}`, () => {
    let database: TestDatabase;
    let store: SqlSessionStore;
    const rows = (columns = '*') => database.query(`SELECT ${columns} FROM ${database.table} WHERE session_key <> ?`, '');
    const read = (key: string) => store.get(key, MINUTE, options);
    const list = async (principal?: string) => {
      const found: string[] = [];
      for await (const keys of store.list(principal)) found.push(...keys);
      return found;
    };
    const dataOf = async (key: string) =>
      Object.fromEntries(Object.entries(await read(key) ?? {}).filter(([ field ]) => field[0] !== '_'));
    /** As text, as JSON has it, whatever the order of the fields. */
    const textOf = (record: SessionRecord) => JSON.stringify(Object.entries(record).sort(([ a ], [ b ]) => (a < b ? -1 : 1)));
    before(async () => {
      database = await open();
      store = storeOf(database);
      await store.set('warm', {}, MINUTE);
    });
    beforeEach(async () => {
      await database.query(`DELETE FROM ${database.table} WHERE session_key <> ?`, '');
      await database.query(`DELETE FROM ${database.table}_principals`);
    });
    afterEach(() => mm.restore());
    after(() => database.close());

    it('has all optional methods, so that the contract\'s suite leaves out none of its tests', () => {
      for (const method of [ 'touch', 'getAndTouch', 'merge', 'compareAndSet', 'retire', 'index', 'list' ] as const) assert.ok(store[method], method);
    });

    it('sends one statement for each call, or two where that database needs them', async () => {
      const record = { n: 1, _maxAge: MINUTE };
      await store.set('id', record, MINUTE);
      const client = database.client as unknown as Record<string, (...args: unknown[]) => unknown>;
      let sent = 0;
      for (const method of [ 'query', 'execute' ]) {
        if (client[method]) {
          mm(client, method, (real => (...args: unknown[]) => {
            sent++;
            return real.apply(client, args);
          })(client[method]));
        }
      }
      const stored = (await read('id'))!;
      const calls: Array<[ call: () => unknown, postgres: number, mysql: number ]> = [
        [ () => read('id'), 1, 1 ],
        [ () => store.set('id', stored, MINUTE), 1, 1 ],
        [ () => store.touch('id'), 1, 1 ],
        [ () => store.getAndTouch('id', options), 1, 2 ],
        [ () => store.merge('id', { set: { n: 2 }, unset: [], replace: false }), 1, 1 ],
        [ async () => assert.equal(await store.compareAndSet('id', (await read('id'))!, record, MINUTE), true), 2, 2 ],
        [ () => store.index('7', 'id', MINUTE), 1, 1 ],
        [ async () => assert.deepEqual(await list('7'), [ 'id' ]), 1, 1 ],
        [ () => store.retire('id', 'next', MINUTE), 1, 2 ],
        [ () => store.destroy('id'), 1, 1 ],
      ];
      for (const [ call, postgres, mysql ] of calls) {
        sent = 0;
        await call();
        assert.equal(sent, name === 'PostgreSQL' ? postgres : mysql, String(call));
      }
    });

    it('keeps apart what differs in case, in accents and in spaces at the end', async () => {
      const keys = [ 'id', 'ID', 'íd', 'id ', 'id\t' ];
      for (const [ n, key ] of keys.entries()) {
        await store.set(key, { n }, MINUTE);
        await store.index(key, key, MINUTE);
      }
      for (const [ n, key ] of keys.entries()) {
        assert.deepEqual(await dataOf(key), { n });
        assert.deepEqual(await list(key), [ key ]);
      }
    });

    it('merges any fields into any record as JavaScript does', async () => {
      const fields = fc.dictionary(fc.string({ unit: 'binary', maxLength: 8 }).filter(field => field[0] !== '_'), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 6 });
      await fc.assert(fc.asyncProperty(fields, fields, fc.boolean(), async (before, set, replace) => {
        const unset = Object.keys(before).filter((field, i) => i % 2 === 0 && !Object.hasOwn(set, field));
        await store.set('any', before, MINUTE);
        await store.merge('any', { set, unset, replace });
        const expected = { ...replace ? {} : before, ...set };
        for (const field of unset) delete expected[field];
        assert.equal(textOf(await dataOf('any')), textOf(expected));
      }), { numRuns: 200 });
    });

    it('keeps what databases have their own view of: numbers, the order of members, U+0000, and 1,000 levels', async () => {
      let deep: unknown = 1;
      for (let i = 0; i < 1000; i++) deep = [ deep ];
      const record = { big: 1e300, small: 5e-324, ordered: { bb: 1, a: 2 }, zero: 'a\u0000b', 'name\u0000': 1, deep };
      await store.set('odd', record, MINUTE);
      await store.merge('odd', { set: { n: 1, '\u0000"\\': [ '\u0000' ] }, unset: [ 'name\u0000' ], replace: false });
      const found = await dataOf('odd');
      assert.deepEqual(JSON.stringify(found.ordered), '{"bb":1,"a":2}');
      assert.equal(textOf({ ...found, 'name\u0000': 1 }), textOf({ ...record, n: 1, '\u0000"\\': [ '\u0000' ] }));
      assert.equal('name\u0000' in found, false);
    });

    it('puts no value into a statement', async () => {
      const evil = '\'; DROP TABLE nothing; -- \\\'" ? :key $1 $$';
      await store.set(evil, { [evil]: evil }, MINUTE);
      await store.merge(evil, { set: { [`${evil}2`]: evil }, unset: [], replace: false });
      await store.index(evil, evil, MINUTE);
      assert.deepEqual(await dataOf(evil), { [evil]: evil, [`${evil}2`]: evil });
      assert.deepEqual(await list(evil), [ evil ]);
      assert.deepEqual(await store.retire(evil, evil, MINUTE).then(() => read(evil)), { _successor: evil });
    });

    it('leaves nothing of a session in its row when it has ended', async () => {
      await store.set('id', { secret: 'tea', _principal: 'alice' }, MINUTE);
      await store.retire('id', null, MINUTE);
      const [ row ] = await rows();
      assert.doesNotMatch(JSON.stringify(Object.values(row).map(String)), /tea|alice/);
    });

    for (const end of [ 'retire', 'destroy' ] as const) {
      it(`brings no session back by requests that write while ${end}() is under way`, async () => {
        for (let round = 0; round < 10; round++) {
          const key = `${end}-${round}`;
          await store.set(key, { n: 0, _maxAge: MINUTE }, MINUTE);
          const stored = (await read(key))!;
          const writes = (n: number) => [
            store.merge(key, { set: { n }, unset: [], replace: n % 2 === 0 }), store.touch(key), store.getAndTouch(key, options),
            store.compareAndSet(key, stored, { n, _maxAge: MINUTE }, MINUTE),
          ];
          const marks = Array.from({ length: 6 }, (_, i) => store.merge(key, { set: { [`_mark${i}`]: true }, unset: [], replace: false }));
          const ending = end === 'retire' ? store.retire(key, 'next', MINUTE) : store.destroy(key);
          const [ ended, marked ] = await Promise.all([ ending, Promise.all(marks), ...writes(1), ...writes(2) ]);
          if (end === 'retire') {
            // what was told as written has come along
            for (const [ i, isWritten ] of marked.entries()) if (isWritten) assert.equal((ended as SessionRecord)[`_mark${i}`], true, `mark ${i}`);
          }
          assert.deepEqual(await read(key), end === 'retire' ? { _successor: 'next' } : undefined);
          await Promise.all(writes(3));
          assert.deepEqual(await read(key), end === 'retire' ? { _successor: 'next' } : undefined);
        }
      });
    }

    it('loses nothing of 200 requests that change different fields at the same time', async () => {
      await store.set('id', { _maxAge: MINUTE }, MINUTE);
      const fields = Array.from({ length: 200 }, (_, i) => [ `f${i}`, i ] as const);
      await Promise.all(fields.map(([ field, n ]) => store.merge('id', { set: { [field]: n }, unset: [ 'none' ], replace: false })));
      assert.deepEqual(await dataOf('id'), Object.fromEntries(fields));
    });

    it('loses nothing of requests that remove many fields each, while others write', async () => {
      const fields = Array.from({ length: 100 }, (_, i) => `old"${i}`);
      await store.set('id', { ...Object.fromEntries(fields.map(field => [ field, 1 ])), stays: 1, _maxAge: MINUTE }, MINUTE);
      await Promise.all([ 0, 1, 2, 3 ].flatMap(n => [
        store.merge('id', { set: { [`a${n}`]: n }, unset: fields.slice(25 * n, 25 * (n + 1)), replace: false }),
        store.merge('id', { set: { [`b${n}`]: n }, unset: [ 'none' ], replace: false }),
      ]));
      assert.equal(textOf(await dataOf('id')), textOf({ stays: 1, a0: 0, a1: 1, a2: 2, a3: 3, b0: 0, b1: 1, b2: 2, b3: 3 }));
    });

    it('removes more fields at once than a statement may have values', async () => {
      const fields = Array.from({ length: 70_000 }, (_, i) => `f${i}`);
      await store.set('id', { ...Object.fromEntries(fields.map(field => [ field, 1 ])), _maxAge: MINUTE }, MINUTE);
      assert.equal(await store.merge('id', { set: { n: 1 }, unset: fields, replace: false }), MINUTE);
      assert.deepEqual(await dataOf('id'), { n: 1 });
    });

    describe('has time by the clock of the database', () => {
      for (const off of [ -HOUR, HOUR ]) {
        const AHEAD = off < 0 ? 'behind' : 'ahead';
        it(`a record lives for its lifetime, made by a process whose clock is an hour ${AHEAD}`, async () => {
          const now = Date.now();
          mm(Date, 'now', () => now + off);
          await store.set('id', { n: 1, _createdAt: now + off, _maxAge: MINUTE }, MINUTE);
          mm.restore();
          const { _expire, _storedAt, _createdAt } = (await read('id'))!;
          assert.ok(Math.abs(Number(_expire) - now - MINUTE) < 30_000);
          assert.ok(Math.abs(Number(_storedAt) - now) < 30_000);
          assert.equal(_createdAt, now + off);
        });

        for (const [ how, live ] of [
          [ 'touch', () => store.touch('id', { ...options, absoluteMaxAge: 2 * HOUR }) ],
          [ 'merge', () => store.merge('id', { set: { n: 2 }, unset: [], replace: false }, { ...options, absoluteMaxAge: 2 * HOUR }) ],
          [ 'getAndTouch', () => store.getAndTouch('id', { ...options, absoluteMaxAge: 2 * HOUR }) ],
          [ 'compareAndSet', async () => store.compareAndSet('id', (await read('id'))!, { n: 3, _createdAt: (await read('id'))!._createdAt, _maxAge: 9 * HOUR },
            9 * HOUR, { ...options, absoluteMaxAge: 2 * HOUR }) ],
        ] as const) {
          it(`absoluteMaxAge counts from its creation, by ${how}, whose process is ${AHEAD}`, async () => {
            const now = Date.now();
            await store.set('id', { n: 1, _createdAt: now, _maxAge: 9 * HOUR }, HOUR, { ...options, absoluteMaxAge: 2 * HOUR });
            mm(Date, 'now', () => now + off);
            assert.ok(await live());
            const { _expire } = (await read('id'))!;
            assert.ok(Math.abs(Number(_expire) - now - 2 * HOUR) < 30_000, String(Number(_expire) - now));
            mm.restore();
            await database.query(`UPDATE ${database.table} SET created_at = created_at - ${3 * HOUR}, expires_at = expires_at + ${HOUR} WHERE session_key = ?`, 'id');
            assert.equal(await live() || undefined, undefined);
            assert.equal(await read('id'), undefined);
          });
        }
      }
    });

    describe('deletes rows that have expired', () => {
      const expire = (keys: string) => database.query(`UPDATE ${database.table} SET expires_at = expires_at - ${HOUR} WHERE session_key LIKE ?`, keys);

      it('in batches, of sessions and of principals, and nothing else', async () => {
        await Promise.all(Array.from({ length: 1300 }, async (_, i) => {
          await store.set(`old-${i}`, { i }, MINUTE);
          if (i < 700) await store.index('7', `old-${i}`, MINUTE);
        }));
        await store.set('live', { n: 1 }, MINUTE);
        await store.index('7', 'live', 2 * HOUR);
        await store.set('browser', { n: 1 }, 'session');
        await expire('old-%');
        await database.query(`UPDATE ${database.table}_principals SET expires_at = expires_at - ${HOUR} WHERE principal = ?`, '7');
        assert.equal(await store.removeExpired(), 2000);
        assert.deepEqual((await rows('session_key')).map(({ session_key }) => String(session_key)).sort(), [ 'browser', 'live' ]);
        assert.deepEqual(await list('7'), [ 'live' ]);
        assert.equal(await store.removeExpired(), 0);
      });

      it('by one worker at a time, until the time between two has passed', async () => {
        const workers = Array.from({ length: 5 }, () => storeOf(database));
        const round = async () => {
          await store.set('old', { n: 1 }, MINUTE);
          await expire('old');
          return (await Promise.all(workers.map(each => each.removeExpiredInTurn()))).filter(Boolean);
        };
        await database.query(`DELETE FROM ${database.table} WHERE session_key = ?`, '');
        assert.deepEqual(await round(), [ 1 ]);
        assert.deepEqual(await round(), []);
        await database.query(`UPDATE ${database.table} SET expires_at = expires_at - ${HOUR} WHERE session_key = ?`, '');
        assert.equal((await round()).length, 1);
        // the clock of the database was a year ahead when a worker took its turn
        await database.query(`UPDATE ${database.table} SET expires_at = expires_at + ${365 * 24 * HOUR} WHERE session_key = ?`, '');
        assert.equal((await round()).length, 1);
        assert.deepEqual(await round(), []);
        assert.deepEqual(await list(), []); // what keeps the others off is no session
      });
    });

    it('takes what it can\'t read for missing, says so in the log without its data, and writes over it', async () => {
      const logged: string[] = [];
      const ctx = { coreLogger: { error: (...args: unknown[]) => logged.push(args.join(' ')) } } as unknown as SessionStoreOptions['ctx'];
      await store.set('id', { n: 1 }, MINUTE);
      await database.query(`UPDATE ${database.table} SET data = '{"n": "oops"}' WHERE session_key = ?`, 'id');
      assert.equal(await store.get('id', MINUTE, { ctx }), undefined);
      assert.equal(logged.length, 1);
      assert.match(logged[0], /^\[session\]\[malformed\]/);
      assert.doesNotMatch(logged[0], /oops/);
      assert.equal(await store.retire('id', null, MINUTE), undefined);
      await store.set('id', { n: 2 }, MINUTE);
      assert.deepEqual(await dataOf('id'), { n: 2 });
    });

    it('refuses a lifetime that is none, and a table that is no name', async () => {
      await assert.rejects(store.set('id', { n: 2 }, -1), /no lifetime/);
      const odd = storeOf({ ...database, table: 'sessions; DROP TABLE x' });
      assert.throws(() => odd.schema(), /session store's table is "sessions; DROP TABLE x": it must be a name/);
    });

    it('keeps sessions of an application in a table of a schema, or a database, of its own', async () => {
      const [{ at }] = await database.query(name === 'PostgreSQL' ? 'SELECT current_schema() AS at' : 'SELECT DATABASE() AS at');
      const own = storeOf({ ...database, table: `${at}.${database.table}_own` });
      await own.set('id', { n: 1 }, MINUTE);
      await own.index('7', 'id', MINUTE);
      assert.equal((await own.get('id', MINUTE, options))!.n, 1);
      assert.equal(await read('id'), undefined);
    });

    it('has its tables made by several workers that start at once', async () => {
      const table = `${database.table}_race`;
      const workers = Array.from({ length: 5 }, () => storeOf({ ...database, table }));
      await Promise.all(workers.map((each, n) => each.set(`id-${n}`, { n }, MINUTE)));
      assert.equal((await database.query(`SELECT session_key FROM ${table}`)).length, 5);
    });
  });

  it(`an application removes expired rows from ${name} by itself, and logs that it can't, once in a row`, async () => {
    const database = await open();
    const store = storeOf(database);
    mm(store, 'removeExpiredEvery', 20);
    const app: MockApplication = await createApp('web', { session: { store } });
    app.mockLog('coreLogger');
    const client = await Client.of(app);
    const count = async () => (await database.query(`SELECT session_key FROM ${database.table} WHERE session_key = ?`, 'old')).length;
    await client.run((session: any) => void (session.n = 1));
    await store.set('old', { n: 1 }, MINUTE);
    await database.query(`UPDATE ${database.table} SET expires_at = 1 WHERE session_key = ?`, 'old');
    await until('the row is gone', async () => await count() === 0);
    const failures = new EventEmitter();
    let failed = 0;
    mm(store, 'removeExpiredInTurn', async () => {
      if (++failed === 3) failures.emit('third');
      throw new Error('no rights');
    });
    await new Promise(resolve => {
      failures.once('third', resolve);
    });
    const lines = (app.getLogger('coreLogger') as unknown as { _mockLogs: string[] })._mockLogs.filter(line => line.includes('could not be deleted: no rights'));
    assert.equal(lines.length, 1);
    await client.close();
    await app.close();
    mm.restore();
    await database.close();
  });
}

it('a Pool of pg that gives bigints as numbers and JSON as text is as good', async () => {
  const database = await DATABASES.PostgreSQL.open();
  const { connectionString } = (database.client as pg.Pool).options;
  const pool = new pg.Pool({ connectionString, types: { getTypeParser: (id: number) => (id === 20 ? Number : String) } as unknown as pg.CustomTypesConfig });
  const store = new TestPostgresStore(pool);
  await store.set('id', { n: 1, _maxAge: MINUTE }, MINUTE);
  assert.equal(await store.merge('id', { set: { m: 2 }, unset: [], replace: false }), MINUTE);
  const { n, m, _maxAge } = (await store.get('id', MINUTE, options))!;
  assert.deepEqual([ n, m, _maxAge ], [ 1, 2, MINUTE ]);
  await store.close();
  await database.close();
});

it('only expired rows are removed from a table of PostgreSQL that has partitions, whose rows share their addresses', async () => {
  const database = await DATABASES.PostgreSQL.open();
  const { table } = database;
  const store = DATABASES.PostgreSQL.store(database);
  await database.query(store.schema().split(';')[0].replace(/\)$/, ') PARTITION BY HASH (session_key)'));
  for (let i = 0; i < 4; i++) await database.query(`CREATE TABLE ${table}_${i} PARTITION OF ${table} FOR VALUES WITH (MODULUS 4, REMAINDER ${i})`);
  const count = async (like: string) => (await database.query(`SELECT session_key FROM ${table} WHERE session_key LIKE ?`, like)).length;
  for (let i = 0; i < 200; i++) {
    await store.set(`live-${i}`, { i }, MINUTE);
    await store.set(`old-${i}`, { i }, MINUTE);
  }
  await database.query(`UPDATE ${table} SET expires_at = 1 WHERE session_key LIKE 'old-%'`);
  for (let i = 0; i < 200; i++) await store.touch(`live-${i}`, options);
  assert.equal(await store.removeExpired(), 200);
  assert.deepEqual([ await count('live-%'), await count('old-%') ], [ 200, 0 ]);
  await database.close();
});

it('another user of PostgreSQL, who may create an operator, can\'t have it run with the rights of the store', async () => {
  const server = await startPostgres();
  const admin = postgresPool(server.url);
  const store = new TestPostgresStore(postgresPool(server.url, 1));
  await store.set('id', { secret: 'tea', _maxAge: MINUTE }, MINUTE);
  await admin.query('GRANT CREATE ON SCHEMA public TO public; CREATE ROLE other LOGIN');
  const other = postgresPool(server.url.replace('postgres@', 'other@'), 1);
  await assert.rejects(other.query('SELECT * FROM sessions'), /permission denied/);
  await other.query('CREATE TABLE loot (data text); GRANT ALL ON loot TO public');
  const body = 'BEGIN INSERT INTO public.loot SELECT data::text FROM public.sessions; RETURN $1::pg_catalog.numeric; END';
  for (const [ left, right ] of [[ 'numeric', 'integer' ], [ 'numeric', 'bigint' ], [ 'double precision', 'integer' ]]) {
    for (const operator of [ '*', '+', '-' ]) {
      const name = `f_${operator.charCodeAt(0)}`;
      await other.query(`CREATE FUNCTION ${name}(${left}, ${right}) RETURNS numeric LANGUAGE plpgsql AS $$ ${body} $$;
        CREATE OPERATOR ${operator} (LEFTARG = ${left}, RIGHTARG = ${right}, FUNCTION = ${name})`);
    }
  }
  const again = new TestPostgresStore(postgresPool(server.url, 1));
  await again.set('id', { secret: 'tea', _createdAt: Date.now(), _maxAge: MINUTE }, MINUTE);
  await again.touch('id', { ...options, absoluteMaxAge: HOUR });
  await again.getAndTouch('id', options);
  await again.merge('id', { set: { n: 1 }, unset: [], replace: false });
  assert.equal(await again.compareAndSet('id', (await again.get('id', MINUTE, options))!, { secret: 'tea', _maxAge: MINUTE }, MINUTE), true);
  await again.index('7', 'id', MINUTE);
  for await (const keys of again.list('7')) assert.deepEqual(keys, [ 'id' ]);
  await again.removeExpiredInTurn();
  await again.retire('id', null, MINUTE);
  assert.deepEqual((await other.query('SELECT data FROM loot')).rows, []);
  for (const each of [ store, again ]) await each.close();
  for (const each of [ other, admin ]) await each.end();
  await server.stop();
});
