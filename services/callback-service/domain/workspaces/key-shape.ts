const KEY = /^ab_[A-Za-z0-9_-]{1,64}_[A-Za-z0-9_-]{43}$/
const MAX_LENGTH = 'ab_'.length + 64 + '_'.length + 43

/** Whether a text may be a key of a workspace: `ab_<workspace>_<43 characters>`, which are 256 random bits in base64url. */
export function isKeyShaped(text: string): boolean {
  return text.length <= MAX_LENGTH && KEY.test(text)
}
