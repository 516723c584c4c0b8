package hapctl

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

// bothVersions are those that clients come with.
var bothVersions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

// ticketKey is one in base64.
type ticketKey string

func newTicketKey(t *testing.T, size int) ticketKey {
	t.Helper()
	b := make([]byte, size)
	_, _ = rand.Read(b)
	return ticketKey(base64.StdEncoding.EncodeToString(b))
}

func (k ticketKey) raw() []byte {
	b, err := base64.StdEncoding.DecodeString(string(k))
	if err != nil {
		panic(err)
	}
	return b
}

// ticketSite has two TLS ports that take their ticket keys from one file.
type ticketSite struct {
	*lab
	pair pair
	keys []ticketKey
}

func newTicketSite(t *testing.T, h weirtest.HAProxy) *ticketSite {
	t.Helper()
	const bind = " bind ADDR:%d ssl crt site.pem tls-ticket-keys tickets/keys\n"
	l := newLab(t, h, "frontend f from base\n"+fmt.Sprintf(bind, 8443)+fmt.Sprintf(bind, 8444)+" http-request return status 200\n")
	s := &ticketSite{lab: l, pair: newPair(t, false, "a.example")}
	for range 3 {
		s.keys = append(s.keys, newTicketKey(t, 80))
	}
	l.file("site.pem", s.pair.pem(t))
	s.write()
	return s
}

// write puts the last three keys into the file.
func (s *ticketSite) write() {
	s.Helper()
	text := ""
	for _, k := range s.keys[len(s.keys)-3:] {
		text += string(k) + "\n"
	}
	s.file("tickets/keys", text)
}

// push makes a new key the next one.
func (s *ticketSite) push() {
	s.Helper()
	k := newTicketKey(s.T, 80)
	if err := s.c.PushTicketKeys(bounded(s.T), "tickets/keys", string(k)); err != nil {
		s.Fatal(err)
	}
	s.keys = append(s.keys, k)
}

// visit says whether the session was resumed.
func (s *ticketSite) visit(v *weirtest.Visitor, port int) bool {
	s.Helper()
	resumed, err := v.Visit(bounded(s.T), fmt.Sprintf("%s:%d", s.addr, port))
	if err != nil {
		s.Fatal(err)
	}
	return resumed
}

func (s *ticketSite) visitor(version uint16) *weirtest.Visitor {
	return weirtest.NewVisitor(version, "a.example", s.pair.cert)
}

// wantKeys says which of all keys, from which on, HAProxy must have.
func (s *ticketSite) wantKeys(from int) {
	s.Helper()
	var want haproxy.TicketKeys
	want.File = "tickets/keys"
	for i := range want.Digests {
		want.Digests[i] = sha256.Sum256(s.keys[from+i].raw())
	}
	if got, err := s.c.TicketKeys(bounded(s.T), "tickets/keys"); err != nil || got != want {
		s.Errorf("HAProxy has %x, want %x, %v", got.Digests, want.Digests, err)
	}
}

// Of the three keys the second encrypts, and its first 16 bytes name it in the ticket; all three decrypt. A key that
// is set is the third from then on, and the first of before is gone. Ports with one file share its keys.
func TestFactTicketKeyIndexes(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		s := newTicketSite(t, h)
		s.start()
		for _, version := range bothVersions {
			s.keys = s.keys[len(s.keys)-3:]
			s.wantKeys(0)
			v := s.visitor(version)
			if s.visit(v, 8443) {
				t.Error("resumed a session that there was not")
			}
			for n := range 3 {
				// The ticket is the one that the first handshake brought, when n is 0.
				if name := s.keys[n+1].raw()[:16]; !bytes.HasPrefix(v.Ticket(), name) {
					t.Errorf("TLS %x: after %d keys the ticket is not that of the second key", version, n)
				}
				if !s.visit(v, 8444) {
					t.Errorf("TLS %x: not resumed at the other port after %d keys", version, n)
				}
				old := s.visitor(version)
				s.visit(old, 8443)
				s.push()
				s.wantKeys(n + 1)
				if !s.visit(old, 8444) {
					t.Errorf("TLS %x: not resumed by the previous key", version)
				}
				if !s.visit(v, 8443) {
					t.Errorf("TLS %x: not resumed by a key that had been renewed", version)
				}
			}
			late := s.visitor(version)
			s.visit(late, 8443)
			s.push()
			s.push()
			if s.visit(late, 8443) {
				t.Errorf("TLS %x: resumed by a key that was dropped", version)
			}
		}
	})
}

// A file with fewer than three keys or with keys of different sizes is refused at start, and a key of another size, in
// another encoding or for another file at run time; the keys stay. More than three lines are fine: the last count.
func TestFactTicketKeySizes(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		s := newTicketSite(t, h)
		refuse := func(why string, keys ...ticketKey) {
			t.Helper()
			text := ""
			for _, k := range keys {
				text += string(k) + "\n"
			}
			s.file("tickets/keys", text)
			if err := Check(bounded(t), h.Path, s.dir, "haproxy.cfg"); err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("want %q: %v", why, err)
			}
		}
		refuse("at least 3 keys", s.keys[:2]...)
		refuse("wrong sized key on line 3", s.keys[0], s.keys[1], newTicketKey(t, 48))
		refuse("wrong sized key on line 1", newTicketKey(t, 32))
		s.keys = append([]ticketKey{newTicketKey(t, 80)}, s.keys...)
		text := ""
		for _, k := range s.keys {
			text += string(k) + "\n"
		}
		s.file("tickets/keys", text)
		s.start()
		s.wantKeys(1)
		for _, c := range []struct{ path, key, why string }{
			{"tickets/keys", string(newTicketKey(t, 48)), "wrong size"},
			{"tickets/keys", "!!", "base64"},
			{"tickets/other", string(newTicketKey(t, 80)), "unable to locate"},
		} {
			err := s.c.PushTicketKeys(bounded(t), c.path, c.key)
			if !strings.Contains(refusal(t, err), c.why) || strings.Contains(err.Error(), c.key) {
				t.Errorf("want %q: %v", c.why, err)
			}
		}
		if _, err := s.c.TicketKeys(bounded(t), "tickets/other"); err == nil {
			t.Error("keys of a file that is not there")
		}
		s.wantKeys(1)
	})
}

// A reload has the keys that are in the file, also where others were set meanwhile; without a file each process has
// keys of its own, and what was before a reload is not resumed.
func TestFactTicketKeysAtReload(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		s := newTicketSite(t, h)
		s.start()
		both := []*weirtest.Visitor{s.visitor(bothVersions[0]), s.visitor(bothVersions[1])}
		visit := func(want bool, when string) {
			t.Helper()
			for i, v := range both {
				if got := s.visit(v, 8443); got != want {
					t.Errorf("TLS %x %s: resumed %t", bothVersions[i], when, got)
				}
			}
		}
		visit(false, "at first")
		s.push()
		s.write()
		s.reload()
		s.wantKeys(1)
		visit(true, "after a reload")
		s.push()
		s.reload()
		s.wantKeys(1)
		s.config("frontend f from base\n bind ADDR:8443 ssl crt site.pem\n http-request return status 200\n")
		s.reload()
		visit(false, "without the file")
		visit(true, "by the same process")
		s.reload()
		visit(false, "by another process without the file")
	})
}

// A session of a certificate that was read from a file goes on wherever that was read from a file, and not where a line
// of a crt-list brought it at run time, though the ticket is decrypted there; and the other way round. Setting and
// committing the same certificate once more makes them alike.
func TestFactSessionsOfCertificates(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		const bind = " bind ADDR:%d ssl crt-list %s strict-sni tls-ticket-keys tickets/keys\n"
		s := newTicketSite(t, h)
		s.lab = newLab(t, h, "frontend f from base\n"+fmt.Sprintf(bind, 8443, "one.list")+fmt.Sprintf(bind, 8444, "two.list")+" http-request return status 200\n")
		s.file("site.pem", s.pair.pem(t))
		s.file("one.list", "site.pem a.example\n")
		s.file("two.list", "")
		s.write()
		s.start()
		s.pay("add ssl crt-list two.list", "site.pem a.example\n")
		for _, version := range bothVersions {
			for from, to := range map[int]int{8443: 8444, 8444: 8443} {
				v := s.visitor(version)
				s.visit(v, from)
				if s.visit(v, to) {
					t.Errorf("TLS %x: a session goes on at port %d that began at %d: nothing has to be set once more", version, to, from)
				}
			}
		}
		if err := s.c.SetCert(bounded(t), "site.pem", s.pair.pem(t)); err != nil {
			t.Fatal(err)
		}
		for _, version := range bothVersions {
			for from, to := range map[int]int{8443: 8444, 8444: 8443} {
				v := s.visitor(version)
				s.visit(v, from)
				if !s.visit(v, to) {
					t.Errorf("TLS %x: a session does not go on at port %d that began at %d", version, to, from)
				}
			}
		}
	})
}
