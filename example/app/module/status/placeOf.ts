import type { Application } from 'egg';
import { MysqlSessionStore, PostgresSessionStore, RedisSessionStore } from 'egg-tegg-session';

const PLACES = [
  [ RedisSessionStore, 'In Redis' ], [ PostgresSessionStore, 'In PostgreSQL' ], [ MysqlSessionStore, 'In MySQL or MariaDB' ],
] as const;

/** Where a store keeps the sessions, for people to read. */
export const placeOf = (store: Application['sessionStore']) =>
  PLACES.find(([ clazz ]) => store instanceof clazz)?.[1] ?? 'In the memory of this process';
