package secrets

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// maxAuditField is the most of one field that is kept, in bytes.
const maxAuditField = 1024

// AuditEntry is one refusal, sign-in or enrolment. Fields are kept to 1 KiB each, and what looks like a token in
// them is hidden.
type AuditEntry struct {
	Author  string `json:"author,omitempty"` // from the credential; empty when there was none
	What    string `json:"what"`             // as in "sign-in", "apply", "enrol"
	Object  string `json:"object,omitempty"` // "Pool/web-az1"
	Outcome string `json:"outcome"`          // "accepted" or "refused"
	Reason  string `json:"reason,omitempty"`
	Remote  string `json:"remote,omitempty"` // the address it came from
}

// AuditRecord is an entry in its place in the chain.
type AuditRecord struct {
	Seq  int64     `json:"seq"`            // from 1, without gaps, across files
	Prev string    `json:"prev,omitempty"` // the hash of the record before
	Time time.Time `json:"time"`
	AuditEntry
	Hash string `json:"-"` // of all of the line that stands before it
}

const (
	hashKey    = `,"hash":"`
	hashSuffix = len(hashKey) + 2*sha256.Size + len(`"}`)
)

// encode writes the record as one line of printable JSON, its hash last, and sets Hash.
func (r *AuditRecord) encode() ([]byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	body = escape(body)
	r.Hash = digest(body)
	return append(body[:len(body)-1], hashKey+r.Hash+"\"}\n"...), nil
}

// decodeAudit reads a line without its end and checks its own hash.
func decodeAudit(line []byte) (AuditRecord, error) {
	var r AuditRecord
	cut := len(line) - hashSuffix
	if cut < 1 || !bytes.HasPrefix(line[cut:], []byte(hashKey)) || !bytes.HasSuffix(line, []byte(`"}`)) {
		return r, errors.New("it is not an audit record")
	}
	body := append(bytes.Clone(line[:cut]), '}')
	hash := string(line[cut+len(hashKey) : len(line)-2])
	if digest(body) != hash {
		return r, errors.New("it was changed: its hash is not that of its content")
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return r, fmt.Errorf("it is not an audit record: %w", err)
	}
	if r.Seq < 1 {
		return r, errors.New("it is not an audit record: its number is not positive")
	}
	r.Hash = hash
	return r, nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// clean bounds each field and hides tokens.
func (e AuditEntry) clean() AuditEntry {
	for _, f := range []*string{&e.Author, &e.What, &e.Object, &e.Outcome, &e.Reason, &e.Remote} {
		// Cut long before matching too: a refusal must stay cheap whatever it is about.
		*f = clipText(RedactTokens(clipText(*f, 4*maxAuditField)), maxAuditField)
	}
	return e
}

func clipText(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}

// escape turns what JSON leaves as it is but terminals act upon (DEL, C1 controls, direction marks) into \u form.
// Such characters can only stand inside strings, so the meaning stays.
func escape(line []byte) []byte {
	if bytes.IndexFunc(line, hidden) < 0 {
		return line
	}
	var b strings.Builder
	for _, r := range string(line) {
		switch {
		case !hidden(r):
			b.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return []byte(b.String())
}

func hidden(r rune) bool { return r > '~' && !unicode.IsPrint(r) }
