package link

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/ir"
	"weir/internal/secrets"
	"weir/internal/weirtest"
)

// caChange is a change of CA, in the steps of weir ca rotate.
type caChange struct {
	w        *world
	before   []byte
	after    []byte
	old, new *x509.Certificate
}

func (w *world) changeCA() *caChange {
	w.t.Helper()
	c := &caChange{w: w, before: w.text}
	var err error
	if c.after, err = secrets.NewCA(w.now()); err != nil {
		w.t.Fatal(err)
	}
	certificate := func(text []byte) *x509.Certificate {
		list, err := secrets.CACertificates(text)
		if err != nil {
			w.t.Fatal(err)
		}
		return list[0]
	}
	c.old, c.new = certificate(c.before), certificate(c.after)
	return c
}

func (c *caChange) adopt(text []byte, believed ...*x509.Certificate) {
	c.w.t.Helper()
	text, err := secrets.WithTrust(text, believed...)
	if err == nil {
		err = c.w.ca.Adopt(text)
	}
	if err != nil {
		c.w.t.Fatal(err)
	}
	c.w.text = text
}

func (c *caChange) announce() { c.adopt(c.before, c.new) }
func (c *caChange) issue()    { c.adopt(c.after, c.old) }
func (c *caChange) finish()   { c.adopt(c.after) }

// stands waits until the control plane has heard which CAs an agent believes and which its certificate is of.
func (w *world) stands(name string, issuer *x509.Certificate, believes ...*x509.Certificate) {
	w.t.Helper()
	var want []string
	for _, c := range believes {
		want = append(want, secrets.CAHash(c))
	}
	weirtest.Eventually(w.t, patience, func() error {
		r, ok := w.hub.Reports().Get(name)
		if !ok || !slices.Equal(r.Believes, want) || r.Issuer != secrets.CAHash(issuer) {
			return fmt.Errorf("%s: %t, believes %v and shows one of %s; want %v, %s", name, ok, r.Believes, r.Issuer, want, secrets.CAHash(issuer))
		}
		return nil
	})
}

// onDisk reads what an agent's folder says, with no agent running.
func onDisk(t *testing.T, dir string) *identity {
	t.Helper()
	id, err := openIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// An agent follows a change of CA step by step, on one stream, and has each step on disk before it tells of it.
func TestAgentFollowsTheCA(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 1, nil, "lb1")
	a := w.agent(dir)
	a.Report(Report{State: Converged})
	c := w.changeCA()
	w.stands("lb1", c.old, c.old)
	since := a.Connection().Since

	c.announce()
	w.stands("lb1", c.old, c.old, c.new)
	if id := onDisk(t, dir); !id.trust.Has(secrets.CAHash(c.new)) {
		t.Error("told before it was kept")
	}
	if a.Connection().Since != since {
		t.Error("learning of a CA broke the stream")
	}
	c.issue()
	w.stands("lb1", c.new, c.new, c.old)
	c.finish()
	w.stands("lb1", c.new, c.new)
	if id := onDisk(t, dir); id.trust.Has(secrets.CAHash(c.old)) || id.outdated() {
		t.Error("the old CA is on disk still")
	}
	w.set("edge", 2, []*ir.Resource{res("pool/a", 1)}, "lb1")
	a.at(2)
}

// An agent that is away during one step takes it up when it comes back.
func TestAgentIsAwayDuringAStep(t *testing.T) {
	t.Parallel()
	for _, away := range []string{"announce", "issue", "finish"} {
		t.Run(away, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			dir := w.enrol("lb1")
			w.set("edge", 1, nil, "lb1")
			a := w.agent(dir)
			a.Report(Report{State: Converged})
			c := w.changeCA()
			w.stands("lb1", c.old, c.old)
			for _, step := range []struct {
				name   string
				do     func()
				issuer *x509.Certificate
				cas    []*x509.Certificate
			}{
				{"announce", c.announce, c.old, []*x509.Certificate{c.old, c.new}},
				{"issue", c.issue, c.new, []*x509.Certificate{c.new, c.old}},
				{"finish", c.finish, c.new, []*x509.Certificate{c.new}},
			} {
				if step.name == away {
					a.stop()
				}
				step.do()
				if step.name == away {
					a = w.agent(dir)
					a.Report(Report{State: Converged})
				}
				w.stands("lb1", step.issuer, step.cas...)
			}
		})
	}
}

// An agent that was away from before the first step until after the last can't know whom to believe, and says so.
func TestAgentIsAwayAllTheWhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 1, nil, "lb1")
	c := w.changeCA()
	c.announce()
	c.issue()
	c.finish()
	a := w.agent(dir)
	weirtest.Eventually(t, patience, func() error {
		if err := a.Connection().Err; err == nil || !strings.Contains(err.Error(), "join again: weir token join … --name lb1 --replace") {
			return fmt.Errorf("the agent says %w", err)
		}
		return nil
	})
	a.stop()
	// It does as it was told.
	w.reg.remove("lb1")
	if err := os.Remove(filepath.Join(dir, certificateFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := Enrol(t.Context(), w.options(dir), Join{Token: w.token("lb1")}); err != nil {
		t.Fatal(err)
	}
	w.agent(dir).at(1)
}

// One that learnt of the new CA and missed its certificate is told so by the control plane that refuses it.
func TestAgentMissesTheNewCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 1, nil, "lb1")
	a := w.agent(dir)
	a.Report(Report{State: Converged})
	c := w.changeCA()
	c.announce()
	w.stands("lb1", c.old, c.old, c.new)
	a.stop()
	c.issue()
	c.finish()
	a = w.agent(dir)
	weirtest.Eventually(t, patience, func() error {
		if err := a.Connection().Err; err == nil || !strings.Contains(err.Error(), "does not take this agent's certificate") {
			return fmt.Errorf("the agent says %w", err)
		}
		return nil
	})
}

// A stream with a certificate of a CA that is believed no more ends at the next heartbeat.
func TestOldCertificatesAreCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 1, nil, "lb1")
	a := w.agent(dir)
	a.at(1)
	c := w.changeCA()
	c.finish() // at once: what force does
	weirtest.Eventually(t, patience, func() error {
		if a.Connection().Up || len(w.hub.Connected()) > 0 {
			return fmt.Errorf("the stream lives on")
		}
		return nil
	})
}

// An agent that does not say what it believes is of before, and hears nothing that it would not understand.
func TestOldAgentsAreNotToldOfCAs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.changeCA()
	s := &stream{hub: w.hub}
	c.announce()
	if line, err := s.trustLine(); line != nil || err != nil {
		t.Errorf("%s, %v", line, err)
	}
	s.believes = secrets.CAHash(c.old)
	line, err := s.trustLine()
	if err != nil || !strings.Contains(string(line), `{"trust":{"ca":`) {
		t.Errorf("%s, %v", line, err)
	}
	if again, err := s.trustLine(); again != nil || err != nil {
		t.Errorf("said twice: %s, %v", again, err)
	}
	m, err := decodeMessage(line[:len(line)-1])
	if err != nil || m.Trust == nil || m.Hash != nil {
		t.Errorf("%+v, %v", m, err)
	}
	for _, bad := range []string{`{"trust":{"ca":""}}`, `{"trust":{"ca":"x","spread":-1}}`, `{"trust":{"ca":"x","spread":999999999}}`} {
		if _, err := decodeMessage([]byte(bad)); err == nil {
			t.Errorf("%s is understood", bad)
		}
	}
}

// When many agents are to renew, each draws its time; until then its old certificate serves.
func TestRenewalsAreSpread(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	client, err := Open(w.options(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	c := w.changeCA()
	c.issue()
	text := string(w.ca.Trust().PEM())
	if err := client.believe(&wireTrust{text, mostSpread.Milliseconds()}); err != nil {
		t.Fatal(err)
	}
	at := client.moveAt
	if at.After(w.now().Add(mostSpread)) || at.Before(w.now().Add(-time.Minute)) {
		t.Errorf("renews at %s", at)
	}
	w.pass(mostSpread + time.Minute)
	if !client.due() {
		t.Error("not due when the time is over")
	}
	client.moveAt = w.now().Add(time.Minute)
	if client.due() {
		t.Error("due before its time")
	}
	if err := client.believe(&wireTrust{"nonsense", 0}); err == nil {
		t.Error("nonsense is believed")
	}
}
