// Parts of the pictures that scripts draw.

const escape = (text: string) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;');

/** A line of text, of a class of the picture's style; `y` is its base line. */
export const textAt = (x: number, y: number, content: string, kind = '') => `<text x="${x}" y="${y}"${kind && ` class="${kind}"`}>${escape(content)}</text>`;

/** A whole picture, with a size in px. */
export const svg = (title: string, width: number, height: number, style: string, parts: string[]) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>${escape(title)}</title>
<style>${style}
</style>
${parts.join('\n')}
</svg>
`;
