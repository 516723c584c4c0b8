package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const (
	sealedText     = "weir-sealed-v1."
	sealedOverhead = 12 + 16 // nonce and tag
	maxBox         = MaxPlaintext + sealedOverhead
)

var (
	sealedMagic = [...]byte{'W', 'S', sealVersion}
	errSealed   = errors.New("read sealed secret: it is not one, or it was cut or changed")
)

// Sealed is an encrypted secret with the id of its key. Its text form, which is also its JSON, and its binary
// form are stable and each value has exactly one of each. The zero value holds nothing and has neither.
type Sealed struct {
	keyID string
	salt  [saltBytes]byte
	box   []byte // nonce, ciphertext, tag
}

// IsZero tells whether nothing is sealed here.
func (s Sealed) IsZero() bool { return s.keyID == "" }

// KeyID names the key that opens it.
func (s Sealed) KeyID() string { return s.keyID }

// String tells the key and the plaintext's length, for logs.
func (s Sealed) String() string {
	if s.IsZero() {
		return "sealed(nothing)"
	}
	return fmt.Sprintf("sealed(key %s, %d bytes)", s.keyID, len(s.box)-sealedOverhead)
}

// MarshalBinary gives "WS", the version, the key's id (8 bytes), the salt (32), and the box.
func (s Sealed) MarshalBinary() ([]byte, error) {
	id, err := hex.DecodeString(s.keyID)
	if err != nil || s.IsZero() {
		return nil, errors.New("write sealed secret: nothing is sealed")
	}
	return bytes.Join([][]byte{sealedMagic[:], id, s.salt[:], s.box}, nil), nil
}

// UnmarshalBinary reads what MarshalBinary wrote and refuses anything else; only Open finds out whether it is
// authentic.
func (s *Sealed) UnmarshalBinary(data []byte) error {
	rest, ok := bytes.CutPrefix(data, sealedMagic[:])
	if !ok || len(rest) < keyIDBytes+saltBytes {
		return errSealed
	}
	box := rest[keyIDBytes+saltBytes:]
	if len(box) < sealedOverhead || len(box) > maxBox {
		return errSealed
	}
	s.keyID = hex.EncodeToString(rest[:keyIDBytes])
	copy(s.salt[:], rest[keyIDBytes:])
	s.box = bytes.Clone(box)
	return nil
}

// MarshalText gives "weir-sealed-v1.<key id>.<salt and box in base64url>".
func (s Sealed) MarshalText() ([]byte, error) {
	bin, err := s.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return []byte(sealedText + s.keyID + "." + base64.RawURLEncoding.EncodeToString(bin[len(sealedMagic)+keyIDBytes:])), nil
}

// UnmarshalText reads what MarshalText wrote and refuses anything else.
func (s *Sealed) UnmarshalText(text []byte) error {
	if len(text) > len(sealedText)+2*keyIDBytes+1+base64.RawURLEncoding.EncodedLen(saltBytes+maxBox) {
		return errSealed
	}
	rest, ok := strings.CutPrefix(string(text), sealedText)
	id, body, dot := strings.Cut(rest, ".")
	if !ok || !dot {
		return errSealed
	}
	rawID, err := hex.DecodeString(id)
	if err != nil {
		return errSealed
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil {
		return errSealed
	}
	var out Sealed
	if err := out.UnmarshalBinary(bytes.Join([][]byte{sealedMagic[:], rawID, raw}, nil)); err != nil {
		return err
	}
	// The decoders let line ends and capital digits pass; one value has one form.
	if again, err := out.MarshalText(); err != nil || !bytes.Equal(again, text) {
		return errSealed
	}
	*s = out
	return nil
}
