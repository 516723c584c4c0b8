package dns01

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Key signs dynamic updates (TSIG, RFC 8945). It never shows its secret, however it is printed.
type Key struct {
	name, algorithm string  // canonical
	secret          *string // base64; behind a pointer, which is all that is printed of it in what holds a key
}

// Algorithms lists what a key may be used with, the usual one first.
var Algorithms = []string{"hmac-sha256", "hmac-sha384", "hmac-sha512"}

// leastSecret is the least number of bytes in a secret.
const leastSecret = 16

// NewKey makes a key of its name and algorithm as the server has them, and its secret in base64. Errors hold
// nothing of the secret.
func NewKey(name, algorithm, secret string) (Key, error) {
	if !isName(name) {
		return Key{}, fmt.Errorf("read the key for updates: %q is no name of a key; take the one in the server's configuration", clip(name))
	}
	if err := checkAlgorithm(algorithm); err != nil {
		return Key{}, fmt.Errorf("read the key %s: %w", name, err)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(secret), ""))
	if err != nil {
		return Key{}, fmt.Errorf("read the key %s: its secret is not base64; copy it as it stands in the server's configuration", name)
	}
	if len(raw) < leastSecret {
		return Key{}, fmt.Errorf("read the key %s: its secret has %d bytes, at least %d are needed; make a new one with keymgr -t or tsig-keygen", name, len(raw), leastSecret)
	}
	secret = base64.StdEncoding.EncodeToString(raw)
	return Key{name: dns.CanonicalName(name), algorithm: dns.CanonicalName(algorithm), secret: &secret}, nil
}

func checkAlgorithm(algorithm string) error {
	switch a := strings.ToLower(strings.TrimSuffix(algorithm, ".")); {
	case slices.Contains(Algorithms, a):
		return nil
	case strings.Contains(a, "md5"), strings.Contains(a, "sha1"):
		return fmt.Errorf("algorithm %s is refused, since MD5 and SHA-1 are broken and RFC 8945 advises against them; make a key with %s", a, Algorithms[0])
	default:
		return fmt.Errorf("algorithm %q is not known; take one of %s", clip(algorithm), strings.Join(Algorithms, ", "))
	}
}

// String gives the name and the algorithm.
func (k Key) String() string { return k.name + " (" + strings.TrimSuffix(k.algorithm, ".") + ")" }

// Format prints the same for every verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }

// LogValue gives the same to logs.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText gives the same to JSON.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// fudge is by how many seconds the clocks of the two ends may differ.
const fudge = 300

// sign packs a message with its signature, which the answer's one covers too.
func (k Key) sign(m *dns.Msg, now time.Time) (wire []byte, mac string, err error) {
	m.SetTsig(k.name, k.algorithm, fudge, now.Unix())
	return dns.TsigGenerate(m, *k.secret, "", false)
}

// verify says why an answer can't be believed, or nil. m is what wire holds.
func (k Key) verify(m *dns.Msg, wire []byte, mac string) error {
	t := m.IsTsig()
	if t == nil {
		return fmt.Errorf("the answer is not signed")
	}
	if dns.CanonicalName(t.Hdr.Name) != k.name || dns.CanonicalName(t.Algorithm) != k.algorithm {
		return fmt.Errorf("the answer is signed with another key, %s", Key{name: clip(t.Hdr.Name), algorithm: clip(t.Algorithm)})
	}
	if err := dns.TsigVerify(wire, *k.secret, mac, false); err != nil {
		return fmt.Errorf("the answer's signature does not fit: %w", err)
	}
	return nil
}
