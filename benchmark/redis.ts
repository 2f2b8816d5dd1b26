export async function redis() {}
