/** Whose session a request has, as far as the store or the cookie knows, and whether somebody has signed in. */
export class PrincipalWatch {
  /** Whose session it was known to be last; undefined for nobody's. */
  principal?: string;
  /** Whether somebody signed in, and the session has kept the id that it had before. */
  signedInWithOldId = false;

  /** Whose session this request has begun with, and that has ended elsewhere meanwhile. */
  ended?: string;

  /** The session has ended elsewhere; the next one is nobody's. */
  hasEnded(): void {
    this.ended = this.principal ?? this.ended;
    this.principal = undefined;
  }

  /** Whether somebody signs in who was not signed in before. */
  isSignIn(principal: string | undefined): boolean {
    return principal !== undefined && principal !== this.principal;
  }

  /** Whether somebody signs in where another one was signed in. */
  isReplacedBy(principal: string | undefined): boolean {
    return this.principal !== undefined && this.isSignIn(principal);
  }

  /** Takes the principal of what was saved. */
  saved(principal: string | undefined): void {
    if (principal === this.principal) return;
    this.principal = principal;
    this.signedInWithOldId = principal !== undefined;
  }

  /** Forgets a session that was destroyed: the next one is another. */
  forget(): void {
    this.principal = undefined;
    this.signedInWithOldId = false;
  }
}
