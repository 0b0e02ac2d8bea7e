/** What the field that an event comes from has in it. */
export function fieldText({ target }: Event): string {
  return (target as HTMLInputElement | HTMLSelectElement).value
}
