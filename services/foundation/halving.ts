/**
 * Writes a batch. Where it fails because of one item, writes its halves instead, so that the others are written and the item at fault fails alone.
 * @param write writes all of what it is given, or throws and writes none
 * @param isItemFault whether an error of `write` is the fault of one item
 * @throws what `write` threw for other reasons, or for a single item; what comes after that is not written
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
