import { SingletonProto } from '@eggjs/tegg';
import { MemorySessionStore } from 'egg-tegg-session';

@SingletonProto()
export class AppSessionStore extends MemorySessionStore {}
