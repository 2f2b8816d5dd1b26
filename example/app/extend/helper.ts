export default {
  /** The path with a query of those parameters that have a value. */
  link(path: string, parameters: Record<string, string | undefined>): string {
    const given = Object.entries(parameters).filter((entry): entry is [ string, string ] => Boolean(entry[1]));
    return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
  },
};
