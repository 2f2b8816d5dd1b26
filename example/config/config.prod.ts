import type { EggAppConfig, PowerPartial } from 'egg';

export default (): PowerPartial<EggAppConfig> => ({
  proxy: true, // it speaks HTTPS, for the cookie to be Secure, and says whose request it is
});
