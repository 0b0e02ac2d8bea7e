/**
 * Flags that start a service: `node --max-semi-space-size=8 services/callback-service/main.ts`. Without the flag, Node lets the heap's
 * young generation grow to 128 MB and keeps it. Node reads the flag only when it starts; foundation/lifecycle/run.ts sets the other half of
 * the bound later. A service also works without the flag, and takes about 100 MB more. docs/performance.md has the figures.
 */
export const NODE_FLAGS = ['--max-semi-space-size=8'] as const
