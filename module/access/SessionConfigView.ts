import { AccessLevel, SingletonProto } from '@eggjs/tegg';
import { currentApp } from '../application/applications';
import { configOf } from '../options/SessionConfig';

/** What is injected as `sessionConfig`: the options of the current application, read-only. @internal */
@SingletonProto({ name: 'sessionConfig', accessLevel: AccessLevel.PUBLIC })
export class SessionConfigView {
  constructor() {
    const current = () => configOf(currentApp());
    return new Proxy({}, {
      get: (_, key) => Reflect.get(current(), key),
      has: (_, key) => key in current(),
      ownKeys: () => Reflect.ownKeys(current()),
      getOwnPropertyDescriptor(_, key) {
        const property = Object.getOwnPropertyDescriptor(current(), key);
        return property && { ...property, configurable: true };
      },
      set: () => false,
      defineProperty: () => false,
      deleteProperty: () => false,
      preventExtensions: () => false,
    });
  }
}
