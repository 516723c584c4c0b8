package secrets

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
)

// TokenPattern is a regular expression that finds every token, for secret scanners.
const TokenPattern = `weir_[a-z][a-z0-9]{0,15}_[0-9a-hjkmnp-tv-z]{59,111}`

const (
	tokenStart   = "weir_"
	joinKind     = "join"
	tokenBytes   = 32
	sumBytes     = 4
	tokenDigits  = 52 // of 32 bytes
	sumDigits    = 7  // of 4 bytes
	hashPrefix   = "sha256:"
	maxTokenText = len(tokenStart) + 16 + 1 + 2*tokenDigits + sumDigits
)

// ErrNotToken is the kind of error for text that is no token, or one with a typing mistake.
var ErrNotToken = errors.New("not a token")

// tokenLike is wider than TokenPattern, so that mistyped tokens are hidden too.
var tokenLike = regexp.MustCompile(`(?i)(weir_[a-z0-9]{1,16}_)[0-9a-z]{16,}`)

// token is what the text of a token says.
type token struct {
	kind   string
	secret []byte
	caHash []byte // only in a join token
}

// NewToken makes a token of 256 random bits, "weir_<kind>_<52 digits><7 of a checksum>", and the hash to store
// for it. Kind is 1 to 16 of a-z and 0-9, the first a letter; another is a mistake of the program and panics.
func NewToken(kind string) (text, hash string) {
	if !validTokenKind(kind) {
		panic("secrets: token kind " + kind + " is not 1 to 16 of a-z and 0-9, the first a letter")
	}
	t := token{kind: kind, secret: make([]byte, tokenBytes)}
	_, _ = rand.Read(t.secret) // never fails: the runtime ends the process first
	return t.text(), t.hash()
}

// HashToken gives the hash to look a token up by, "sha256:<hex>". For a join token it is that of its secret,
// with or without the CA's hash. The error is ErrNotToken by kind and never repeats the text.
func HashToken(text string) (string, error) {
	t, err := parseToken(text)
	if err != nil {
		return "", err
	}
	return t.hash(), nil
}

// TokenKind tells what kind a token says it is of.
func TokenKind(text string) (string, error) {
	t, err := parseToken(text)
	return t.kind, err
}

// VerifyToken tells whether hash is that of the token, in a time that does not depend on where they differ.
func VerifyToken(text, hash string) bool {
	got, err := HashToken(text)
	return err == nil && subtle.ConstantTimeCompare([]byte(got), []byte(hash)) == 1
}

// NewJoinToken makes a join token, which carries the CA's hash ("sha256:<hex>"), and the hash to store for it.
func NewJoinToken(caHash string) (text, hash string, err error) {
	ca, err := parseCAHash(caHash)
	if err != nil {
		return "", "", fmt.Errorf("make join token: %w", err)
	}
	secret, hash := NewToken(joinKind)
	t, err := parseToken(secret)
	if err != nil {
		return "", "", fmt.Errorf("make join token: %w", err)
	}
	t.caHash = ca
	return t.text(), hash, nil
}

// ParseJoinToken takes a join token apart: the secret, a token by itself and all that is shown to the control
// plane, and the hash of the CA that the control plane must prove to have.
func ParseJoinToken(text string) (secret, caHash string, err error) {
	t, err := parseToken(text)
	switch {
	case err != nil:
		return "", "", fmt.Errorf("read join token: %w", err)
	case t.kind != joinKind:
		return "", "", fmt.Errorf("read join token: %w of this kind: it is a token of kind %s", ErrNotToken, t.kind)
	case t.caHash == nil:
		return "", "", fmt.Errorf("read join token: %w: it carries no CA hash; copy all of it", ErrNotToken)
	}
	return token{kind: t.kind, secret: t.secret}.text(), hashPrefix + hex.EncodeToString(t.caHash), nil
}

// RedactTokens replaces the secret part of everything in text that looks like a token.
func RedactTokens(text string) string { return tokenLike.ReplaceAllString(text, "${1}"+redacted) }

// text writes the token with a checksum of all of it, so that mistakes in typing are told from tokens unknown.
func (t token) text() string {
	start := tokenStart + t.kind + "_"
	body := encode32(t.secret)
	if t.caHash != nil {
		body += encode32(t.caHash)
	}
	return start + body + checksum(start+body)
}

// hash needs no salt or stretching: there are 256 bits to guess. The CA's hash is left out, because the
// control plane gets the secret only.
func (t token) hash() string {
	sum := sha256.Sum256([]byte(token{kind: t.kind, secret: t.secret}.text()))
	return hashPrefix + hex.EncodeToString(sum[:])
}

func checksum(text string) string {
	var sum [sumBytes]byte
	binary.BigEndian.PutUint32(sum[:], crc32.ChecksumIEEE([]byte(text)))
	return encode32(sum[:])
}

func parseToken(text string) (token, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxTokenText {
		return token{}, fmt.Errorf("%w: it is too long", ErrNotToken)
	}
	rest, ok := strings.CutPrefix(strings.ToLower(text), tokenStart)
	kind, body, found := strings.Cut(rest, "_")
	if !ok || !found || !validTokenKind(kind) {
		return token{}, fmt.Errorf("%w: tokens begin with %s<kind>_", ErrNotToken, tokenStart)
	}
	t := token{kind: kind}
	switch len(body) {
	case tokenDigits + sumDigits:
	case 2*tokenDigits + sumDigits:
		ca, err := decode32(body[tokenDigits : 2*tokenDigits])
		if err != nil || kind != joinKind {
			return token{}, fmt.Errorf("%w: it has a typing mistake", ErrNotToken)
		}
		t.caHash = ca
	default:
		return token{}, fmt.Errorf("%w: it is too short or too long; copy all of it", ErrNotToken)
	}
	if err := t.check(body); err != nil {
		return token{}, err
	}
	return t, nil
}

// check fills in the secret and compares the checksum, both read as digits, so that o and 0 are the same.
func (t *token) check(body string) (err error) {
	typo := fmt.Errorf("%w: it has a typing mistake", ErrNotToken)
	if t.secret, err = decode32(body[:tokenDigits]); err != nil {
		return typo
	}
	given, err := decode32(body[len(body)-sumDigits:])
	if err != nil || !strings.HasSuffix(t.text(), encode32(given)) {
		return typo
	}
	return nil
}

func validTokenKind(kind string) bool {
	for i := range len(kind) {
		if c := kind[i]; (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return kind != "" && len(kind) <= 16
}
