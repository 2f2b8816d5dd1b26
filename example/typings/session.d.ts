import 'egg-tegg-session';

declare module 'egg-tegg-session' {
  /** What this application keeps for each visitor. */
  interface SessionData {
    /** The name of the signed-in user. */
    user?: string;
    /** How often the visitor has seen the page. */
    visits?: number;
    /** A message for the next page, shown once. */
    flash?: string;
  }
}
