// A server with the routes that the benchmark asks for, on another framework, with its session or without.
import http from 'node:http';

const { framework, sessions, kept, redis: redisPort, database, rolling, data } = JSON.parse(process.env.BENCHMARK);
const bare = sessions === 'none';
const [ someData ] = Object.values(data);
const { userId } = someData;
const SECRET = 'a secret of this benchmark, longer than 32 characters';
const maxAge = 24 * 3600 * 1000;

async function redisStore() {
  const { RedisStore } = await import('connect-redis');
  const { createClient } = await import('redis');
  const client = createClient({ url: `redis://127.0.0.1:${redisPort}` });
  await client.connect();
  return new RedisStore({ client });
}

// As in the README of each store. Ten connections, as the others have. Without `rolling`, a request that reads does not write.
const EXPRESS_STORES = {
  memory: () => undefined,
  Redis: () => redisStore(),
  async PostgreSQL(session) {
    const { default: connectPgSimple } = await import('connect-pg-simple');
    const { default: pg } = await import('pg');
    const pool = new pg.Pool({ connectionString: database, max: 10 });
    return new (connectPgSimple(session))({ pool, createTableIfMissing: true, disableTouch: !rolling });
  },
  async MariaDB(session) {
    const { default: expressMysqlSession } = await import('express-mysql-session');
    const { hostname: host, port, username: user, password, pathname } = new URL(database);
    const MySQLStore = expressMysqlSession(session);
    const store = new MySQLStore({
      host, port, user, password, database: pathname.slice(1), connectionLimit: 10, disableTouch: !rolling, schema: { tableName: 'express_sessions' },
    });
    await store.onReady();
    return store;
  },
};

const FRAMEWORKS = {
  async Express() {
    const { default: express } = await import('express');
    const app = express();
    if (!bare) {
      const { default: session } = await import('express-session');
      app.use(session({
        secret: SECRET, resave: false, saveUninitialized: false, rolling, cookie: { maxAge }, store: await EXPRESS_STORES[kept](session),
      }));
    }
    const sessionOf = req => (bare ? someData : req.session);
    app.get('/sign-in', (req, res) => {
      if (!bare) Object.assign(req.session, data[req.query.bytes]);
      res.json({ userId });
    });
    app.get('/unused', (req, res) => res.json({ userId }));
    app.get('/read', (req, res) => res.json({ userId: sessionOf(req).userId }));
    app.get('/write', (req, res) => {
      sessionOf(req).n++;
      res.json({ userId: sessionOf(req).userId });
    });
    return await new Promise(resolve => {
      const server = app.listen(0, '127.0.0.1', () => resolve(server));
    });
  },

  async Fastify() {
    const { default: fastify } = await import('fastify');
    const app = fastify();
    if (!bare) {
      const { default: cookie } = await import('@fastify/cookie');
      const { default: session } = await import('@fastify/session');
      app.register(cookie);
      app.register(session, {
        secret: SECRET, saveUninitialized: false, rolling, cookie: { maxAge, secure: false }, store: kept === 'Redis' ? await redisStore() : undefined,
      });
    }
    const sessionOf = req => (bare ? someData : req.session);
    app.get('/sign-in', async req => {
      if (!bare) Object.assign(req.session, data[req.query.bytes]);
      return { userId };
    });
    app.get('/unused', async () => ({ userId }));
    app.get('/read', async req => ({ userId: sessionOf(req).userId }));
    app.get('/write', async req => {
      sessionOf(req).n++;
      return { userId: sessionOf(req).userId };
    });
    await app.listen({ host: '127.0.0.1', port: 0 });
    return app.server;
  },

  async 'Node.js'() {
    const { getIronSession } = await import('iron-session');
    const options = { password: SECRET, cookieName: 'session', ttl: maxAge / 1000, cookieOptions: { secure: false } };
    const open = async (req, res) => (bare ? { ...someData, save() {} } : await getIronSession(req, res, options));
    const routes = {
      async '/sign-in'(req, res, query) {
        const session = await open(req, res);
        Object.assign(session, data[query.get('bytes')]);
        await session.save();
        return userId;
      },
      '/unused': () => userId,
      async '/read'(req, res) {
        const session = await open(req, res);
        if (rolling) await session.save();
        return session.userId;
      },
      async '/write'(req, res) {
        const session = await open(req, res);
        session.n++;
        await session.save();
        return session.userId;
      },
    };
    const server = http.createServer(async (req, res) => {
      const { pathname, searchParams } = new URL(req.url, 'http://localhost');
      const body = JSON.stringify({ userId: await routes[pathname](req, res, searchParams) });
      res.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
    });
    return await new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(server)));
  },
};

const server = await FRAMEWORKS[framework]();
process.send({ port: server.address().port, bootMs: performance.now() });
