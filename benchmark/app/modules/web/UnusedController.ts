import { HTTPController, HTTPMethod, HTTPMethodEnum } from '@eggjs/tegg';

@HTTPController()
export class UnusedController {
  @HTTPMethod({ method: HTTPMethodEnum.GET, path: '/unused' })
  async unused() {
    return { userId: 1234567 };
  }
}
