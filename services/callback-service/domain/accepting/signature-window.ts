/** Maximum number of seconds between the time of a signed callback and ours, before or after (Standard Webhooks: a few minutes). */
export const SIGNATURE_TOLERANCE_SECONDS = 300

/** How long the service accepts one signed callback: from the tolerance before its time to the tolerance after it. */
export const SIGNATURE_WINDOW_SECONDS = 2 * SIGNATURE_TOLERANCE_SECONDS

/**
 * Returns how long to keep finished callbacks, in seconds: as long as the setting says, and as long as somebody could send a signed callback of a
 * workspace again.
 * @param workspaces undefined: nobody knows them yet, so one of them may have secrets
 */
export function retentionFor(
  workspaces: readonly { readonly signingSecrets: readonly string[] }[] | undefined,
  settingSeconds: number,
): number {
  const isSigned = workspaces?.some(({ signingSecrets }) => signingSecrets.length > 0) ?? true
  return isSigned ? Math.max(settingSeconds, SIGNATURE_WINDOW_SECONDS) : settingSeconds
}
