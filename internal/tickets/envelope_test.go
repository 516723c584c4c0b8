package tickets

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

// pairOf gives two members and what the second was handed by the first.
func pairOf(b *bed) (a, z Me, s State, given Given) {
	b.Helper()
	a, z = b.me("a"), b.me("z")
	s = b.work(State{Group: group}, a)
	s = b.work(s, a, z)
	brief := b.sent(s.Brief(z.member(0), nil))
	if len(brief.Given) != 1 || brief.Given[0].Envelope.From != "a" {
		b.Fatalf("z was handed %+v", brief.Given)
	}
	return a, z, s, brief.Given[0]
}

// An envelope opens for its recipient alone, and no part of it can be another one.
func TestEnvelopeIsBoundToAllThatItSays(t *testing.T) {
	t.Parallel()
	b := newBed(t, 10)
	a, z, _, given := pairOf(b)
	if _, err := z.Open(given); err != nil {
		t.Fatal(err)
	}
	third := b.me("third")
	twin := b.me("z") // of the same name, with a key of its own
	for name, edit := range map[string]func(*Given, *Me){
		"another load balancer": func(_ *Given, m *Me) { *m = third },
		"another key":           func(_ *Given, m *Me) { *m = twin },
		"another group":         func(_ *Given, m *Me) { m.Group = "core" },
		"its sender":            func(_ *Given, m *Me) { *m = a },
		"no trust":              func(_ *Given, m *Me) { m.Believe = b.newCA().Trust().Agent },
		"epoch":                 func(g *Given, _ *Me) { g.Epoch++ },
		"check":                 func(g *Given, _ *Me) { g.Check = "AAAA" },
		"recipient's name":      func(g *Given, m *Me) { g.Envelope.To, m.Name = "y", "y" },
		"sender's name":         func(g *Given, _ *Me) { g.Envelope.From = "third" },
		"sender's key":          func(g *Given, _ *Me) { g.Envelope.FromKey = KeyID(third.Certificate) },
		"sender's certificate":  func(g *Given, _ *Me) { g.Sender = third.Certificate.Raw },
		"no certificate":        func(g *Given, _ *Me) { g.Sender = nil },
		"time":                  func(g *Given, _ *Me) { g.Envelope.Made = g.Envelope.Made.Add(time.Second) },
		"time of no validity":   func(g *Given, _ *Me) { g.Envelope.Made = g.Envelope.Made.AddDate(-1, 0, 0) },
		"signature":             func(g *Given, _ *Me) { g.Envelope.Signature = flipped(g.Envelope.Signature) },
		"no signature":          func(g *Given, _ *Me) { g.Envelope.Signature = nil },
		"sealed bytes":          func(g *Given, _ *Me) { g.Envelope.Sealed = flipped(g.Envelope.Sealed) },
		"cut":                   func(g *Given, _ *Me) { g.Envelope.Sealed = g.Envelope.Sealed[:80] },
		"nothing":               func(g *Given, _ *Me) { *g = Given{} },
	} {
		g, m := given, z
		edit(&g, &m)
		if _, err := m.Open(g); err == nil {
			t.Errorf("opened with %s changed", name)
		}
	}
}

func flipped(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-1] ^= 1
	return b
}

// A secret that somebody made who has no member's key is not believed, though its recipient's key is known to all.
func TestASecretOfAStrangerIsNotBelieved(t *testing.T) {
	t.Parallel()
	b := newBed(t, 11)
	a, z, _, _ := pairOf(b)
	own := b.newCA()
	stranger := b.me("a") // says that it is a
	stranger.Certificate = b.issue(own, stranger.Key, "a")
	stranger.Believe = func(*x509.Certificate, time.Time) (string, error) { return "z", nil }
	o, err := stranger.Do(Task{Epoch: 2, Make: true, For: []Recipient{{"z", z.Certificate.Raw}}}, nil, b.now, b.random)
	b.must(err)
	given := Given{o.Epoch, o.Check, o.Envelopes[0], o.Certificate}
	if _, err := z.Open(given); err == nil {
		t.Error("a secret of a certificate that the group's CA did not issue is believed")
	}
	given.Sender, given.Envelope.FromKey = a.Certificate.Raw, KeyID(a.Certificate)
	if _, err := z.Open(given); err == nil {
		t.Error("a secret without a member's signature is believed")
	}
}

// A member can't pass its own making off as another's, nor as the secret that the group has agreed on.
func TestAMemberThatLiesIsFound(t *testing.T) {
	t.Parallel()
	b := newBed(t, 17)
	a, z, s, given := pairOf(b)
	y := b.me("y")
	liar := y
	liar.Name = "a"
	to := Recipient{"z", z.Certificate.Raw}
	e, err := liar.wrap(b.opened(a, s)[0], to, b.now, b.random)
	b.must(err)
	if _, err := z.Open(Given{1, given.Check, e, y.Certificate.Raw}); err == nil || !strings.Contains(err.Error(), "load balancer y") {
		t.Errorf("under another name: %v", err)
	}
	other, err := newSecret(group, 1, hide(make([]byte, randomSize)))
	b.must(err)
	other.Check = given.Check
	e, err = a.wrap(other, to, b.now, b.random)
	b.must(err)
	if _, err := z.Open(Given{1, given.Check, e, a.Certificate.Raw}); err == nil || !strings.Contains(err.Error(), "another secret") {
		t.Errorf("another secret: %v", err)
	}
}

// Nothing is wrapped for a key that is not proven to be a load balancer's of that name; the others get theirs.
func TestRecipientsAreVerified(t *testing.T) {
	t.Parallel()
	b := newBed(t, 12)
	a, z, y := b.me("a"), b.me("z"), b.me("y")
	stranger := b.me("x")
	stranger.Certificate = b.issue(b.newCA(), stranger.Key, "x")
	recipients := []Recipient{
		{"a", a.Certificate.Raw},
		{"x", stranger.Certificate.Raw},
		{"y", z.Certificate.Raw}, // another one's
		{"w", []byte("no certificate")},
		{"z", z.Certificate.Raw},
	}
	o, err := a.Do(Task{Epoch: 1, Make: true, For: recipients}, nil, b.now, b.random)
	if len(o.Envelopes) != 2 || o.Envelopes[0].To != "a" || o.Envelopes[1].To != "z" {
		t.Errorf("wrapped for %+v", o.Envelopes)
	}
	for _, name := range []string{"x", "y", "w"} {
		if err == nil || !strings.Contains(err.Error(), "load balancer "+name+":") {
			t.Errorf("%s is not told: %v", name, err)
		}
	}
	b.now = b.now.AddDate(0, 2, 0)
	if o, err := a.Do(Task{Epoch: 1, Make: true, For: []Recipient{{"y", y.Certificate.Raw}}}, nil, b.now, b.random); err == nil || len(o.Envelopes) != 0 {
		t.Errorf("wrapped for a certificate that has run out: %v", err)
	}
}

// A secret outlives the certificate of who handed it on, but not the CA: then another member wraps it anew.
func TestAnOldEnvelopeOpensWhileItsCAIsBelieved(t *testing.T) {
	t.Parallel()
	b := newBed(t, 13)
	a, z, s, given := pairOf(b)
	b.now = b.now.AddDate(1, 0, 0)
	if _, err := z.Open(given); err != nil {
		t.Error(err)
	}
	held := b.opened(a, s)
	b.ca = b.newCA()
	a.Certificate, a.Believe = b.issue(b.ca, a.Key, "a"), b.ca.Trust().Agent
	z.Certificate, z.Believe = b.issue(b.ca, z.Key, "z"), b.ca.Trust().Agent
	if _, err := z.Open(given); err == nil {
		t.Error("opened what an agent of a CA that was dropped had signed")
	}
	if got, unopened, err := z.Read(s.Brief(z.member(0), nil)); err == nil || len(got) != 0 || !slices.Equal(unopened, []int64{1}) {
		t.Errorf("read %d secrets, epochs %v do not open, %v", len(got), unopened, err)
	}
	if got := b.opened(a, s); got[0].Check != held[0].Check {
		t.Error("what a member made for itself does not open")
	}
	s = b.stored(s.Unopened("z", 1))
	s = b.work(s, a, z)
	if got := b.opened(z, s); len(got) != 1 || got[0].Check != held[0].Check || len(s.Epochs) != 1 {
		t.Errorf("handed on anew: %+v", got)
	}
}

func TestDoNeedsTheSecretItself(t *testing.T) {
	t.Parallel()
	b := newBed(t, 14)
	a, z, s, _ := pairOf(b)
	task := Task{Epoch: 1, Check: s.Epochs[0].Check, For: []Recipient{{"z", z.Certificate.Raw}}}
	if _, err := a.Do(task, nil, b.now, b.random); err == nil {
		t.Error("handed on what it has not")
	}
	task.Check = "other"
	if _, err := a.Do(task, b.opened(a, s), b.now, b.random); err == nil {
		t.Error("handed on another secret of the same epoch")
	}
	if _, err := a.Do(Task{Epoch: 2, Make: true}, nil, b.now, strings.NewReader("")); err == nil {
		t.Error("made a secret without chance")
	}
}

// Nothing shows a seed, a secret or a key but what is named to reveal them.
func TestNothingShowsThemByMistake(t *testing.T) {
	t.Parallel()
	b := newBed(t, 15)
	a, _, s, _ := pairOf(b)
	held, keys := b.opened(a, s), b.keys(a, s)
	brief := s.Brief(a.member(0), nil)
	var canaries []string
	for _, bytes := range [][]byte{held[0].value.view(), s.Seeds[1].bytes.view(), keys[1].view()} {
		canaries = append(canaries, encode(bytes)[:12], hex.EncodeToString(bytes)[:12], strings.Trim(fmt.Sprint(bytes[:6]), "[]"), string(bytes[:6]))
	}
	shows := func(text string) bool {
		for _, c := range canaries {
			if strings.Contains(text, c) { // in lower case all bytes that are no UTF-8 would be alike
				return true
			}
		}
		return false
	}
	text, err := s.Encode()
	b.must(err)
	if !shows(string(text)) || !shows(string(keys.File())) {
		t.Fatal("the check finds nothing where they are")
	}
	var log bytes.Buffer
	plain, lines := slog.New(slog.NewTextHandler(&log, nil)), slog.New(slog.NewJSONHandler(&log, nil))
	inside := struct{ v any }{}
	for _, v := range []any{s, s.Seeds, s.Seeds[0], held, held[0], &held[0], keys, keys[0], &keys, brief, &brief, a} {
		inside.v = v
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
			if text := fmt.Sprintf(format, v) + fmt.Sprintf(format, inside); shows(text) {
				t.Errorf("%T by %s", v, format)
			}
		}
		if text, err := json.Marshal(v); err == nil && shows(string(text)) {
			t.Errorf("%T in JSON", v)
		}
		plain.Info("x", "v", v)
		lines.Info("x", "v", v)
	}
	if shows(log.String()) {
		t.Error("a log shows one")
	}
}

// What can't be read is refused, and the error holds nothing of it.
func TestUnreadableTexts(t *testing.T) {
	t.Parallel()
	b := newBed(t, 16)
	a, _, s, _ := pairOf(b)
	state, err := s.Encode()
	b.must(err)
	brief, err := s.Brief(a.member(0), nil).Encode()
	b.must(err)
	seed := encode(s.Seeds[1].bytes.view())
	for _, text := range []string{string(state), string(brief)} {
		for _, bad := range []string{text[:len(text)-1], "", strings.Replace(text, seed, seed[:8], 1), strings.Replace(text, seed, "!"+seed[1:], 1), strings.Replace(text, `"generation":2`, `"generation":7`, 1)} {
			_, err := ParseState([]byte(bad))
			_, err2 := ParseBrief([]byte(bad))
			if err == nil || err2 == nil || strings.Contains(errors.Join(err, err2).Error(), seed[1:7]) {
				t.Errorf("%v, %v", err, err2)
			}
		}
	}
}
