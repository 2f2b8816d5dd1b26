import { start } from 'egg';

start({ baseDir: __dirname }).then(app => app.listen(Number(process.argv[2]), '127.0.0.1'));
