import type { Application, IBoot } from 'egg';

export default class AppBoot implements IBoot {
  constructor(private readonly app: Application) {}

  configWillLoad() {
    this.app.config.coreMiddleware.unshift('expiredForm'); // before the plugins' own, as it hears of their errors
  }
}
