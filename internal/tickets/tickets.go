// Package tickets decides what the load balancers of a group encrypt TLS session tickets with, so that a client whose
// load balancer dies resumes on another one.
//
// The control plane draws a seed for each generation and destroys it when the generation has gone by. The group's
// members share a secret that the control plane never sees: one of them makes it and wraps it for each other member's
// key. A generation's key comes of both, so that neither the store nor a load balancer's disk alone opens traffic.
// State is what the control plane keeps of a group and Step what it does with it; Brief is what it tells a member, and
// Me what a member does with that. Chance and the time are handed in, except that hpke draws its own ephemeral keys.
package tickets

import (
	"encoding/base64"
	"fmt"
	"io"
)

const (
	redacted = "[redacted]"
	// randomSize is the size of seeds and of the group's secret, in bytes.
	randomSize = 32
)

// hidden is bytes that fmt, slog and JSON show as "[redacted]". It does for this package what secrets.Secret does
// where the system may be used; the second pointer is for fmt, which follows one in unexported fields.
type hidden struct{ p **[]byte }

func hide(b []byte) hidden {
	p := &b
	return hidden{&p}
}

func (h hidden) view() []byte {
	if h.p == nil {
		return nil
	}
	return **h.p
}

// String gives "[redacted]".
func (hidden) String() string { return redacted }

// Format writes "[redacted]" whatever the verb and flags.
func (hidden) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText gives "[redacted]".
func (hidden) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// draw takes bytes from random.
func draw(random io.Reader, size int) (hidden, error) {
	b := make([]byte, size)
	if _, err := io.ReadFull(random, b); err != nil {
		return hidden{}, fmt.Errorf("draw random bytes: %w", err)
	}
	return hide(b), nil
}

// label joins words so that no two lists of words give the same text.
func label(words ...string) string {
	text := ""
	for _, w := range words {
		text += fmt.Sprintf("%d:%s,", len(w), w)
	}
	return text
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
