// Package secrets keeps what must not be seen and proves who is who: sealing, tokens, the certificate authority
// with its agents' identities, TLS settings that rest on it, and the audit file.
// It listens on nothing, has no globals that change, and is given the clock.
package secrets

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret holds plaintext and shows "[redacted]" to fmt, slog, JSON and YAML; only Bytes and Text reveal it.
type Secret struct {
	_ [0]func() // not comparable: == would compare identities, and in time that depends on the content
	// Two pointers, because fmt can't call methods on unexported fields of an enclosing struct. It follows one
	// pointer there for a verb that does not fit, but never two. A func would do too, but for reflect.DeepEqual.
	p **[]byte
}

// NewSecret takes a copy of plaintext.
func NewSecret(plaintext []byte) Secret {
	return own(bytes.Clone(plaintext))
}

// own is NewSecret without the copy.
func own(plaintext []byte) Secret {
	p := &plaintext
	return Secret{p: &p}
}

// Bytes reveals a copy of the plaintext.
func (s Secret) Bytes() []byte { return bytes.Clone(s.view()) }

// Text reveals the plaintext as a string.
func (s Secret) Text() string { return string(s.view()) }

// Len is the plaintext's length in bytes.
func (s Secret) Len() int { return len(s.view()) }

// IsZero tells whether there is no plaintext, or an empty one.
func (s Secret) IsZero() bool { return s.Len() == 0 }

// Equal compares two plaintexts in a time that depends only on their lengths.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare(s.view(), other.view()) == 1
}

func (s Secret) view() []byte {
	if s.p == nil {
		return nil
	}
	return **s.p
}

// String gives "[redacted]".
func (Secret) String() string { return redacted }

// Format writes "[redacted]" whatever the verb and flags.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue gives "[redacted]".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText gives "[redacted]", so that JSON and YAML show that something is there.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// GobEncode refuses: a secret travels sealed.
func (Secret) GobEncode() ([]byte, error) {
	return nil, errors.New("encode secret: plaintext is not encoded; seal it first")
}

// UnmarshalText takes text as the plaintext, and refuses "[redacted]", which is what an export holds.
func (s *Secret) UnmarshalText(text []byte) error {
	if string(text) == redacted {
		return errors.New(`read secret: "[redacted]" stands for a value that was not shown; give the value itself`)
	}
	*s = NewSecret(text)
	return nil
}
