'use strict';

// Takes the spaces out of the JavaScript files that it is given: each statement keeps a line of its own, and each name.
const fs = require('node:fs');
const { minify } = require('terser');

async function shrink(file) {
  const { code } = await minify(fs.readFileSync(file, 'utf8'), { compress: false, mangle: false, format: { semicolons: false } });
  fs.writeFileSync(file, `${code}\n`);
}

Promise.all(process.argv.slice(2).map(shrink)).catch(err => {
  console.error(err);
  process.exit(1);
});
