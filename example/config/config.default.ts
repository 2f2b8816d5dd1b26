import type { EggAppConfig, PowerPartial } from 'egg';
import type { SessionOptions } from 'egg-tegg-session';
import Redis from 'ioredis';
import { redisUrl, UNUSED_STORES } from './store';

const MINUTE = 60 * 1000;

const session: SessionOptions = {
  key: 'teahouse', // a name of its own: all Egg applications of a host call theirs EGG_SESS
  maxAge: 30 * MINUTE, // idle
  rolling: true, // counted from the last request
  absoluteMaxAge: 8 * 60 * MINUTE, // in all
  principal: 'user', // the field that says whose session it is
  // the page that tells of an outage must not need the store
  ignore: ctx => ctx.path === '/status' && ctx.method !== 'POST',
};

// experimental: with HTTPS in front and a store, a copy of the cookies is worth nothing elsewhere, in browsers that can
const isBound = Boolean(process.env.DEVICE_BOUND);

const i18n = { defaultLocale: 'en-US', localeAlias: { en: 'en-US', zh: 'zh-CN' } };

const { protocol, hostname, port, username, password, pathname } = redisUrl();

export default (): PowerPartial<EggAppConfig> => ({
  keys: process.env.SESSION_KEYS,

  session: isBound ? { ...session, secure: true, deviceBound: true } : session,
  ...isBound ? { proxy: true } : {},
  // without a proof of its device, a page must not write the session, and the one with the form to sign in is to be shown
  security: { csrf: { useSession: !isBound } },

  tegg: { readModuleOptions: { extraFilePattern: UNUSED_STORES } },

  view: { defaultViewEngine: 'nunjucks', mapping: { '.html': 'nunjucks' } },
  i18n,

  // docs/stores.md of egg-tegg-session says why these settings
  redis: {
    Redis,
    client: {
      host: hostname, port: Number(port || 6379), password: decodeURIComponent(password), db: Number(pathname.slice(1) || 0),
      ...username ? { username: decodeURIComponent(username) } : {},
      ...protocol === 'rediss:' ? { tls: {} } : {},
      maxRetriesPerRequest: 1,
      enableOfflineQueue: true,
      commandTimeout: 1500,
      socketTimeout: 3000,
      autoResendUnfulfilledCommands: false,
      connectTimeout: 5000,
      weakDependent: true,
      keepAlive: 10_000,
      retryStrategy: (times: number) => Math.min(times * 50, 1000),
      reconnectOnError: (err: Error) => (err.message.startsWith('READONLY') ? 1 : false),
    },
  },
});
