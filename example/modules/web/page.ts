import type { Context } from 'egg';
import type { Session } from 'egg-tegg-session';

/** Where sessions are kept, by the environment's STORE. */
const PLACES: Record<string, string> = {
  cookie: 'the sealed cookie <code>EGG_SESS</code>',
  memory: 'the memory of this process, under an id in the sealed cookie <code>EGG_SESS</code>',
  redis: 'Redis, under an id in the sealed cookie <code>EGG_SESS</code>',
};

export function page(ctx: Context, session: Session, flash?: string): string {
  const escape = (text: string): string => ctx.helper.escape(text);
  const { user, visits } = session;
  const csrf = `<input type="hidden" name="_csrf" value="${escape(ctx.csrf)}">`;

  const signInForm = `
    <h2>Sign in</h2>
    <form method="post" action="/sign-in">
      ${csrf}
      <label>User name <input name="name" autocomplete="username" maxlength="40" required></label>
      <label>Password <input name="password" type="password" autocomplete="current-password" required></label>
      <button>Sign in</button>
    </form>
    <p class="hint">Demo users: <code>alice</code> / <code>wonderland</code> and <code>bob</code> / <code>builder</code></p>`;

  const signOutForm = `
    <h2>Your account</h2>
    <p>Signed in as <strong>${escape(user ?? '')}</strong>. Signing out ends the session, and the counter starts again.</p>
    <form method="post" action="/sign-out">
      ${csrf}
      <button>Sign out</button>
    </form>`;

  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>egg-tegg-session</title>
  <link rel="stylesheet" href="/public/style.css">
</head>
<body>
<main>
  <header>
    <p class="name">egg-tegg-session</p>
    <h1>Hello, ${user ? escape(user) : 'stranger'}!</h1>
  </header>
  ${flash ? `<p class="flash ${user ? 'good' : 'bad'}" role="status">${escape(flash)}</p>` : ''}

  <section class="visits">
    <strong id="visits">${visits}</strong>
    <span>${visits === 1 ? 'visit' : 'visits'} in this session<br><a href="/">Visit again</a></span>
  </section>

  <section>${user ? signOutForm : signInForm}</section>

  <section>
    <h2>What your session holds</h2>
    <pre>${escape(JSON.stringify(session, null, 2))}</pre>
    <p class="hint">It is kept in ${PLACES[process.env.STORE || 'cookie']}. A private window is another visitor.</p>
  </section>

  <section>
    <h2>How it works</h2>
    <dl>
      <dt><code>@Inject() session: Session</code></dt><dd>the current request’s session, in any class</dd>
      <dt><code>session.visits = …</code></dt><dd>counts; typed in <code>typings/session.d.ts</code></dd>
      <dt><code>session.pop('flash')</code></dt><dd>takes out the message that is shown once</dd>
      <dt><code>session.regenerate()</code></dt><dd>replaces the session at sign-in, and keeps the data</dd>
      <dt><code>session.destroy()</code></dt><dd>ends the session at sign-out</dd>
    </dl>
  </section>
</main>
</body>
</html>
`;
}
