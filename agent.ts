import type { Agent, IBoot } from 'egg';

const NONE = '[egg-tegg-session] there are no sessions in the agent: it answers no requests, and tegg makes no objects there. Have a ' +
  'worker do it: agent.messenger.sendRandom() sends a message to one';

/** Says in the agent that sessions are elsewhere. */
export default class SessionAgentBoot implements IBoot {
  constructor(private readonly agent: Agent) {}

  configDidLoad() {
    const get = () => {
      throw new Error(NONE);
    };
    Object.defineProperty(this.agent.context, 'session', { get, configurable: true });
    Object.defineProperty(this.agent, 'sessionStore', { get, configurable: true });
  }
}
