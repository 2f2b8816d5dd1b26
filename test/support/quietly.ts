/** Runs `fn` and keeps what is printed meanwhile to itself, as of a boot that is meant to fail. */
export async function quietly<T>(fn: () => Promise<T>): Promise<T> {
  const streams = [ process.stdout, process.stderr ];
  const writes = streams.map(({ write }) => write);
  for (const stream of streams) stream.write = () => true;
  try {
    return await fn();
  } finally {
    streams.forEach((stream, index) => {
      stream.write = writes[index];
    });
  }
}
