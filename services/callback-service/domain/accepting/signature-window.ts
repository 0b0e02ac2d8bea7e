/** How far the time of a signed callback may be from ours, before or after (Standard Webhooks: a few minutes). */
export const SIGNATURE_TOLERANCE_SECONDS = 300

/** How long one signed callback is believed: it may come as early as its time allows, and again as late. */
export const SIGNATURE_WINDOW_SECONDS = 2 * SIGNATURE_TOLERANCE_SECONDS
