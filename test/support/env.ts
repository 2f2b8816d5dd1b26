// Egg loads TypeScript files only when it is told to
process.env.EGG_TYPESCRIPT = 'true';
