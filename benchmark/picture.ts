export function draw(..._: unknown[]) {}
