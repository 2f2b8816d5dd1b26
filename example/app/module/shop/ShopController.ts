import { Context, HTTPBody, HTTPController, HTTPMethod, HTTPMethodEnum, Inject } from '@eggjs/tegg';
import type { Context as EggContext } from 'egg';
import { Session } from 'egg-tegg-session';
import { Page } from '../page/Page';

declare module 'egg-tegg-session' {
  interface SessionData {
    /** The number of cups poured. */
    cups?: number;
    /** The number of each product, by its name. */
    cart?: Record<string, number>;
  }
}

const PRODUCTS = [ 'Green tea', 'Oolong', 'Black tea' ];

@HTTPController()
export class ShopController {
  @Inject()
  private readonly session: Session;

  @Inject()
  private readonly page: Page;

  @HTTPMethod({ method: HTTPMethodEnum.GET, path: '/' })
  async show(@Context() ctx: EggContext) {
    const { cups = 0, cart = {} } = this.session;
    return await this.page.show(ctx, 'shop', { cups, cart, products: PRODUCTS });
  }

  @HTTPMethod({ method: HTTPMethodEnum.POST, path: '/cups' })
  async pour(@Context() ctx: EggContext) {
    // atomic in a store: of two concurrent requests, both count
    await this.session.update(data => {
      data.cups = (data.cups ?? 0) + 1;
    });
    this.page.goTo(ctx, '/');
  }

  @HTTPMethod({ method: HTTPMethodEnum.POST, path: '/cart' })
  async add(@Context() ctx: EggContext, @HTTPBody() { product }: { product?: string }) {
    if (!PRODUCTS.includes(product!)) ctx.throw(400, 'no such product');
    await this.session.update(data => {
      data.cart = { ...data.cart, [product!]: (data.cart?.[product!] ?? 0) + 1 };
    });
    this.page.tell('In your cart: %s.', ctx.__(product!));
    this.page.goTo(ctx, '/');
  }

  @HTTPMethod({ method: HTTPMethodEnum.POST, path: '/cart/empty' })
  async empty(@Context() ctx: EggContext) {
    await this.session.update(data => {
      delete data.cart;
    });
    this.page.tell('The cart was emptied.');
    this.page.goTo(ctx, '/');
  }
}
