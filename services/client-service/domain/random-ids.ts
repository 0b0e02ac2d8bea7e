/**
 * Chooses the ids of a callback: 0 to `maxIds` of them, each from 1 to `objectCount`. An id may come twice, as it does from the real
 * sender.
 * @param random returns numbers of at least 0 and below 1
 */
export function randomIds({ maxIds, objectCount }: { maxIds: number; objectCount: number }, random: () => number): number[] {
  const length = Math.floor(random() * (maxIds + 1))
  return Array.from({ length }, () => 1 + Math.floor(random() * objectCount))
}
