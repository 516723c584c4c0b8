package secrets

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// print derives the key for fingerprints of a sealing key. It opens nothing, and doesn't tell the key that it comes
// from.
func (k ringKey) print() ringKey {
	return ringKey{k.id, own(derive(k.material.view(), nil, "weir fingerprint v1", keyBytes))}
}

// allPrints gives the keys for fingerprints of the ring's own keys, and those that were brought.
func (k *Keyring) allPrints() []ringKey {
	list := make([]ringKey, 0, len(k.keys)+len(k.prints))
	for _, key := range k.keys {
		list = append(list, key.print())
	}
	for _, p := range k.prints {
		if !k.Has(p.id) {
			list = append(list, p)
		}
	}
	return list
}

// Prints gives what SameSecret needs of this ring once its keys are gone: keys for fingerprints, which open nothing.
// It is to be kept sealed, since who has it can try guesses at a secret.
func (k *Keyring) Prints() Secret {
	var b strings.Builder
	for _, p := range k.allPrints() {
		b.WriteString(p.id + " " + base64.StdEncoding.EncodeToString(p.material.view()) + "\n")
	}
	return NewSecret([]byte(b.String()))
}

// WithPrints is the ring with what Prints gave of it, or of another; those that it had before are gone.
func (k *Keyring) WithPrints(text Secret) (*Keyring, error) {
	out := &Keyring{keys: k.keys}
	for line := range strings.Lines(text.Text()) {
		id, encoded, _ := strings.Cut(strings.TrimSpace(line), " ")
		raw, err := hex.DecodeString(id)
		key, kerr := base64.StdEncoding.Strict().DecodeString(encoded)
		if err != nil || kerr != nil || len(raw) != keyIDBytes || len(key) != keyBytes {
			// Not the decoder's error: it may quote a part of the key.
			return nil, errors.New("read keys for fingerprints: a line is odd")
		}
		out.prints = append(out.prints, ringKey{id, own(key)})
	}
	return out, nil
}
