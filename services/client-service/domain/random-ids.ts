/**
 * The ids a callback names: none to `maxIds`, each from 1 to `objectCount`. The same one may come twice, as it does from the real sender.
 * @param random gives numbers from 0 up to 1
 */
export function randomIds({ maxIds, objectCount }: { maxIds: number; objectCount: number }, random: () => number): number[] {
  const length = Math.floor(random() * (maxIds + 1))
  return Array.from({ length }, () => 1 + Math.floor(random() * objectCount))
}
