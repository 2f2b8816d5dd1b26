import { load, ours, settings } from '../../settings';

const name = `${settings.sessions === 'three-method' ? 'ThreeMethods' : ''}In${settings.kept === 'memory' ? 'Memory' : 'Redis'}`;

/** The class of the store that this server keeps its sessions in, if any. */
export const AppSessionStore = ours && settings.kept !== 'cookie' ? load('./ourStores')[name] : undefined;
