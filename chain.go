package weir

import (
	"strings"
	shared "unique"
)

// Chain is certificates in PEM: the leaf first, then what signed it, in order. Thousands of leaves of one authority
// have the rest in common, which is in memory once for all of them. Two chains are == when their text is the same.
type Chain struct {
	leaf string
	rest shared.Handle[string] // the zero handle for nothing
}

// endOfLeaf is the line after which the certificates that others have too begin.
const endOfLeaf = "-----END CERTIFICATE-----\n"

// NewChain takes the text of a chain, whatever is in it.
func NewChain(text string) Chain {
	at := strings.Index(text, endOfLeaf)
	if at < 0 || at+len(endOfLeaf) == len(text) {
		return Chain{leaf: text}
	}
	at += len(endOfLeaf)
	return Chain{strings.Clone(text[:at]), shared.Make(text[at:])}
}

// Leaf is the text up to the end of the first certificate.
func (c Chain) Leaf() string { return c.leaf }

// Rest is the text after the first certificate.
func (c Chain) Rest() string {
	if c.rest == (shared.Handle[string]{}) {
		return ""
	}
	return c.rest.Value()
}

// String is the text.
func (c Chain) String() string { return c.leaf + c.Rest() }

// Len is the length of the text in bytes.
func (c Chain) Len() int { return len(c.leaf) + len(c.Rest()) }

// IsZero says that there is no text.
func (c Chain) IsZero() bool { return c == Chain{} }

// MarshalText gives the text.
func (c Chain) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText takes the text.
func (c *Chain) UnmarshalText(text []byte) error {
	*c = NewChain(string(text))
	return nil
}
