import { load, settings } from '../../settings';

/** What has `load: 'injected'` gets its session injected; all others, the bare application too, share one controller. */
export const SessionController = load('./controllers')[settings.sessions === 'injected' ? 'InjectedController' : 'ContextController'];
