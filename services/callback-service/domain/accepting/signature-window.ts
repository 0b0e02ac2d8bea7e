/** Maximum number of seconds between the time of a signed callback and ours, before or after (Standard Webhooks: a few minutes). */
export const SIGNATURE_TOLERANCE_SECONDS = 300

/** How long the service accepts one signed callback: from the tolerance before its time to the tolerance after it. */
export const SIGNATURE_WINDOW_SECONDS = 2 * SIGNATURE_TOLERANCE_SECONDS
