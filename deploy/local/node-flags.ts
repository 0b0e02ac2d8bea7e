/**
 * How a service is started: `node --max-semi-space-size=8 services/callback-service/main.ts`. Node would let the heap's young generation grow
 * to 128 MB and keep it. Read once when Node starts, so that it cannot be set later (the other half of the bound is in foundation/run.ts);
 * a service started without it works as well and takes some 100 MB more. docs/performance.md has the figures.
 */
export const NODE_FLAGS = ['--max-semi-space-size=8'] as const
