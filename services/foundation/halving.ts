/**
 * Writes a batch. If the write fails because of one item, it writes the two halves instead. So the other items are written, and the bad
 * item fails alone.
 * @param write writes all items, or throws and writes none
 * @param isItemFault whether one item is to blame for an error of `write`
 * @throws the error of `write` if no item is to blame, or if the item is alone; later items are then not written
 */
export async function inHalves<Item>(
  items: readonly Item[],
  write: (items: readonly Item[]) => Promise<void>,
  isItemFault: (error: unknown) => boolean,
): Promise<void> {
  try {
    await write(items)
  } catch (error) {
    if (items.length < 2 || !isItemFault(error)) throw error
    const half = items.length >> 1
    await inHalves(items.slice(0, half), write, isItemFault)
    await inHalves(items.slice(half), write, isItemFault)
  }
}
