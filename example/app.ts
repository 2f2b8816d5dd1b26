import type { Application, IBoot } from 'egg';

export default class AppBoot implements IBoot {
  constructor(private readonly app: Application) {}

  configWillLoad() {
    this.app.config.coreMiddleware.unshift('errorPages'); // before the plugins' own: it hears of their errors
  }
}
