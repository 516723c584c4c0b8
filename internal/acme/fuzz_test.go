package acme

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	acmez "github.com/mholt/acmez/v3/acme"
)

const orderJSON = `{"directory": "https://ca.example/d", "account": "https://ca.example/a/1", "url": "https://ca.example/o/1", "names": ["a.example.com", "*.a.example.com"],
"challenge": "dns-01", "state": "presenting", "began": "2026-11-21T12:00:00Z", "since": "2026-11-21T12:00:00Z", "finalize": "https://ca.example/f/1",
"authorizations": [{"url": "https://ca.example/z/1", "name": "*.a.example.com", "state": "pending", "challengeURL": "https://ca.example/c/1", "token": "abc", "keyAuthorization": "abc.def"}]}`

// FuzzOrder: what was kept is taken or refused, and what is taken can be gone on with and kept again.
func FuzzOrder(f *testing.F) {
	f.Add([]byte(orderJSON))
	f.Add([]byte(strings.Replace(orderJSON, "presenting", "ready", 1)))
	f.Add([]byte(`{"state": "none"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := ParseOrder(data)
		if err != nil {
			return
		}
		for _, ch := range o.Challenges() {
			if ch.Token == "" || ch.KeyAuthorization == "" || (ch.Type == DNS01) != (ch.Record != "") {
				t.Errorf("the challenge %v is incomplete", ch)
			}
		}
		for _, next := range []Order{o, o.Presented(), o.Abandon("it was deleted\n")} {
			kept, err := json.Marshal(next)
			if err != nil {
				return // a time that JSON does not know
			}
			if again, err := ParseOrder(kept); err != nil || again.State != next.State {
				t.Errorf("%s is read back as %s: %v", next.State, again.State, err)
			}
		}
	})
}

// FuzzChain: a chain that is taken is written as it is, and in one way.
func FuzzChain(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"a.example.com"}, NotAfter: time.Unix(1, 0)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		f.Fatal(err)
	}
	one := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	f.Add(one)
	f.Add(append([]byte("\n\nhello\n"), one...))
	f.Add(append(one, one[:40]...))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	f.Fuzz(func(t *testing.T, text []byte) {
		chain, err := parseChain(text)
		if err != nil {
			return
		}
		if len(chain) == 0 || len(chain) > maxChain {
			t.Fatalf("%d certificates", len(chain))
		}
		_ = checkChain(chain, []string{"a.example.com"}, key.Public())
		out := encodeChain(chain)
		again, err := parseChain([]byte(out))
		if err != nil || encodeChain(again) != out || bytes.Contains([]byte(out), []byte("\n\n")) {
			t.Errorf("written as %q: %v", out, err)
		}
	})
}

// FuzzText: whatever a CA says is fit to be shown, and holds no secret.
func FuzzText(f *testing.F) {
	f.Add("a \x1b[31mred\x1b[0m\r\nline", "red")
	f.Add("http://a.example/.well-known/acme-challenge/abc-_9: 404", "abc")
	f.Add(strings.Repeat("é", 10_000), "")
	f.Add("to[token]ken", "token")
	f.Add("\xef\xff\xbd", "\xff")
	f.Fuzz(func(t *testing.T, text, secret string) {
		out := clean(text, secret)
		if !utf8.ValidString(out) || utf8.RuneCountInString(out) > maxText+1 {
			t.Errorf("%q is too long or not valid", out)
		}
		if i := strings.IndexFunc(out, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%q has a control character", out)
		}
		left := strings.ReplaceAll(out, "[token]", "")
		if len(secret) >= 16 && !strings.ContainsAny(secret, "[]") && strings.Contains(left, secret) && isToken(secret) {
			t.Errorf("%q shows the secret %q", out, secret)
		}
		_ = problem(StepOrder, &acmez.Problem{Type: text, Detail: text}, 400, []string{secret}).Error()
	})
}

// FuzzAnswers: headers, problems, directories and windows of a CA's are taken or refused, and bounded.
func FuzzAnswers(f *testing.F) {
	f.Add("120", "Sat, 21 Nov 2026 12:00:00 GMT", []byte(`{"type": "urn:ietf:params:acme:error:rateLimited", "subproblems": [{"identifier": {"value": "x"}}]}`))
	f.Add("Sat, 21 Nov 2026 13:00:00 GMT", "", []byte(`{"newNonce": "https://a.example/n", "newAccount": "https://a.example/a", "newOrder": "https://a.example/o"}`))
	f.Add("99999999999999999999", "x", []byte(`{"suggestedWindow": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}}`))
	f.Fuzz(func(t *testing.T, after, date string, body []byte) {
		now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
		at := retryAfter(http.Header{"Retry-After": {after}, "Date": {date}}, now)
		if !at.IsZero() && (at.Before(now) || at.After(now.Add(maxWait))) {
			t.Errorf("%q at %q is %s", after, date, at)
		}
		if p := parseProblem("application/json", body); p != nil {
			_ = problem(StepOrder, p, 400, nil).Error()
		}
		var dir acmez.Directory
		if json.Unmarshal(body, &dir) == nil && checkDirectory(dir) == "" && checkURL(dir.NewOrder) != nil {
			t.Errorf("%q is a directory", body)
		}
		var info acmez.RenewalInfo
		if json.Unmarshal(body, &info) == nil {
			r, detail := renewalInfo(info, at, now)
			if detail == "" && (r.At("x").Before(r.Start) || !r.At("x").Before(r.End) || r.AskAgain.Sub(now) > askLatest) {
				t.Errorf("%q is %v", body, r)
			}
		}
	})
}

// FuzzBudget: what was kept is taken or refused, and never blocks for longer than twice what its limits reach.
func FuzzBudget(f *testing.F) {
	f.Add([]byte(`{"account 1h []": {"": [1795262400, 1795262400]}}`), int64(1795262401))
	f.Add([]byte(`{}`), int64(0))
	f.Fuzz(func(t *testing.T, data []byte, unix int64) {
		var b Budget
		if json.Unmarshal(data, &b) != nil || unix < 0 || unix > maxUnix {
			return
		}
		now := time.Unix(unix, 0)
		limits := []Limit{{Scope: PerAccount, Count: 1, Per: time.Hour}, {Scope: PerDomain, Count: 2, Per: time.Minute}}
		when, _ := b.Next(now, limits, []string{"a.example.com", "."}, Fresh)
		if when.Before(now) || when.Sub(now) > 2*time.Hour+2*time.Second {
			t.Errorf("%s blocks for %s", data, when.Sub(now))
		}
	})
}
