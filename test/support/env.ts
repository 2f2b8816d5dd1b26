// Egg loads TypeScript files only when it is told to; its environment is `unittest` then
process.env.EGG_TYPESCRIPT = 'true';
process.env.NODE_ENV = 'test';
