// Prints the keys_digest of idempotency keys, one a line on the standard input.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
)

// digest adds up the first 8 bytes of the SHA-256 of each key, as big-endian integers. A uint64 adds modulo 2^64.
func digest(keys []string) string {
	var total uint64
	for _, key := range keys {
		sum := sha256.Sum256([]byte(key))
		total += binary.BigEndian.Uint64(sum[:8])
	}
	return fmt.Sprintf("%016x", total)
}

func main() {
	var keys []string
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		keys = append(keys, lines.Text())
	}
	fmt.Println(digest(keys))
}
