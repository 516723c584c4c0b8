package tickets

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/x509"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"weir/internal/secrets"
)

const group = "edge"

var settings = Settings{Every: 4 * time.Hour, Hold: 4 * time.Hour}

// bed is a control plane's CA and clock, and chance that can be repeated.
type bed struct {
	testing.TB
	ca     *secrets.CA
	now    time.Time
	rand   *rand.Rand
	random *rand.ChaCha8
}

func newBed(t testing.TB, seed byte) *bed {
	t.Helper()
	source := rand.NewChaCha8([32]byte{seed, 1})
	b := &bed{TB: t, now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), rand: rand.New(source), random: rand.NewChaCha8([32]byte{seed, 2})}
	b.ca = b.newCA()
	return b
}

func (b *bed) newCA() *secrets.CA {
	b.Helper()
	text, err := secrets.NewCA(b.now)
	b.must(err)
	ca, err := secrets.ParseCA(text, func() time.Time { return b.now })
	b.must(err)
	return ca
}

func (b *bed) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// me makes a load balancer with a key and certificate of its own.
func (b *bed) me(name string) Me {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	b.must(err)
	return Me{Group: group, Name: name, Key: key, Certificate: b.issue(b.ca, key, name), Believe: b.ca.Trust().Agent}
}

func (b *bed) issue(ca *secrets.CA, key crypto.Signer, name string) *x509.Certificate {
	b.Helper()
	csr, err := secrets.CSR(key, name)
	b.must(err)
	cert, err := ca.IssueAgent(csr, name)
	b.must(err)
	return cert
}

// step is State.Step, written and read again as the store does.
func (b *bed) step(s State, members ...Member) (State, []Task) {
	b.Helper()
	s, tasks, err := s.Step(b.now, members, settings, b.random)
	b.must(err)
	return b.stored(s), tasks
}

func (b *bed) stored(s State) State {
	b.Helper()
	text, err := s.Encode()
	b.must(err)
	again, err := ParseState(text)
	b.must(err)
	if text2, err := again.Encode(); err != nil || !bytes.Equal(text, text2) {
		b.Fatalf("the state is another one after it was written and read: %v", err)
	}
	return again
}

// sent is a brief as its member reads it.
func (b *bed) sent(brief Brief) Brief {
	b.Helper()
	text, err := brief.Encode()
	b.must(err)
	again, err := ParseBrief(text)
	b.must(err)
	return again
}

// member is how the control plane sees one that is connected.
func (m Me) member(generation int64) Member {
	return Member{Name: m.Name, Certificate: m.Certificate, Present: true, Able: true, Generation: generation}
}

// opened is what a member makes of its brief.
func (b *bed) opened(m Me, s State) []Secret {
	b.Helper()
	held, unopened, err := m.Read(b.sent(s.Brief(m.member(0), nil)))
	if err != nil || len(unopened) > 0 {
		b.Fatalf("epochs %v: %v", unopened, err)
	}
	return held
}

// keys are those of a member that knows all it needs.
func (b *bed) keys(m Me, s State) Keys {
	b.Helper()
	k, err := Derive(group, b.opened(m, s), s.Seeds)
	b.must(err)
	return k
}

// work has members do their tasks, one after the other, until there are none left.
func (b *bed) work(s State, mes ...Me) State {
	b.Helper()
	for range 10 {
		var members []Member
		for _, m := range mes {
			members = append(members, m.member(s.Generation()))
		}
		var tasks []Task
		if s, tasks = b.step(s, members...); len(tasks) == 0 {
			return s
		}
		for _, m := range mes {
			for _, t := range b.sent(s.Brief(m.member(0), tasks)).Tasks {
				o, err := m.Do(t, b.opened(m, s), b.now, b.random)
				b.must(err)
				s, err = s.Accept(o, m.Name, members)
				b.must(err)
			}
		}
	}
	b.Fatal("the work does not end")
	return s
}

// rotate goes on to the next generation, which everybody follows.
func (b *bed) rotate(s State, mes ...Me) State {
	b.Helper()
	b.now = b.now.Add(settings.Every)
	before := s.Generation()
	if s = b.work(s, mes...); s.Generation() != before+1 {
		b.Fatalf("generation %d came after %d", s.Generation(), before)
	}
	return s
}

// pushed is what HAProxy has after a key was set; facts_ticket_test.go of hapctl shows that it is so.
func pushed(have [3]Digest, key Key) [3]Digest { return [3]Digest{have[1], have[2], key.Digest()} }

// knows says whether a HAProxy decrypts what another one issues.
func knows(have, other [3]Digest) bool { return slices.Contains(have[:], other[1]) }
