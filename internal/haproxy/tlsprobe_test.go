package haproxy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// probe is one thing that scanners look for. It gives an error when a server that is graded A+ would not do that.
type probe struct {
	name string
	// legacy says that the profile of that name passes it, too.
	legacy bool
	try    func(f fort, profile string) error
}

// probes are what SSL Labs takes an A+ from, or part of it, as far as it is up to the server's settings. HSTS and the
// lists of versions, suites, groups and keys have tests of their own.
var probes = []probe{
	{"SSL 2 is not answered", true, func(f fort, profile string) error { return f.oldest() }},
	{"SSL 3 to TLS 1.1 are refused", false, func(f fort, profile string) error {
		for _, version := range []uint16{ssl3, tls10, tls11} {
			if a, err := f.greet(profile, version).ask(f.at()); err != nil || a.agreed() {
				return fmt.Errorf("version %#04x: %s, %w", version, a, err)
			}
		}
		return nil
	}},
	{"without forward secrecy or AEAD there is no handshake", false, func(f fort, profile string) error {
		h := f.greet(profile, tls12)
		h.suites = slices.DeleteFunc(h.suites, func(s uint16) bool { return slices.Contains(aeadECDSA, s) || slices.Contains(aeadRSA, s) })
		return refuses(f, h)
	}},
	{"nothing is signed with SHA-1", false, func(f fort, profile string) error {
		h := f.greet(profile, tls12)
		h.schemes = schemesSHA1
		return refuses(f, h)
	}},
	{"compression is not agreed to", true, func(f fort, profile string) error {
		h := f.greet(profile, tls12)
		h.compress = []byte{1, 64}
		a, err := h.ask(f.at())
		if err == nil && a.compression != 0 {
			err = fmt.Errorf("compression %d", a.compression)
		}
		return err
	}},
	{"a fallback is found out (RFC 7507)", true, func(f fort, profile string) error {
		h := f.greet(profile, tls12)
		h.suites = append(h.suites, fallbackSCSV)
		a, err := h.ask(f.at())
		if want := map[string]byte{"modern": alertProtocolVersion, "intermediate": alertInappropriateFallback, "legacy": alertInappropriateFallback}[profile]; err == nil && a.alert != want {
			err = fmt.Errorf("%s, want alert %d", a, want)
		}
		return err
	}},
	{"heartbeats are not answered", true, func(f fort, profile string) error { return f.heartbeat(profile) }},
	{"renegotiation is secure, and not the client's to begin", true, func(f fort, profile string) error { return f.renegotiation(profile) }},
}

func refuses(f fort, h hello) error {
	a, err := h.ask(f.at())
	if err == nil && a.agreed() {
		err = errors.New(a.String())
	}
	return err
}

// oldest sends a greeting of SSL 2, with all its ciphers.
func (f fort) oldest() error {
	conn, err := net.DialTimeout("tcp", f.at(), 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	ciphers := []byte{1, 0, 0x80, 2, 0, 0x80, 3, 0, 0x80, 4, 0, 0x80, 5, 0, 0x80, 6, 0, 0x40, 7, 0, 0xc0}
	body := slices.Concat([]byte{1}, u16(ssl2), u16(len(ciphers)), u16(0), u16(16), ciphers, bytesOf(16))
	if _, err := conn.Write(append([]byte{0x80, byte(len(body))}, body...)); err != nil {
		return err
	}
	answer, _ := io.ReadAll(io.LimitReader(conn, 3))
	if len(answer) > 0 && answer[0] != recordAlert {
		return fmt.Errorf("answers % x", answer)
	}
	return nil
}

// heartbeat asks for the extension, and for the memory that Heartbleed gave away.
func (f fort) heartbeat(profile string) error {
	conn, err := net.DialTimeout("tcp", f.at(), 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	h := f.greet(profile, tls12)
	h.more = append(h.more, extension{extHeartbeat, []byte{1}})
	a, _, err := h.begin(conn, nil)
	if err != nil || profile == "modern" && !a.agreed() {
		return err
	}
	if _, has := a.extensions[extHeartbeat]; has || !a.agreed() {
		return fmt.Errorf("%s, extensions %v", a, a.extensions)
	}
	if _, err := conn.Write(record(recordHeartbeat, tls12, []byte{1, 0x40, 0})); err != nil {
		return err
	}
	for {
		kind, _, err := readRecord(conn)
		switch {
		case err != nil:
			return nil
		case kind == recordHeartbeat:
			return errors.New("answers a heartbeat")
		}
	}
}

// renegotiation is a matter of TLS 1.2: later ones have none.
func (f fort) renegotiation(profile string) error {
	if profile == "modern" {
		return nil
	}
	h := f.greet(profile, tls12)
	h.suites = append(h.suites, renegotiationSCSV)
	if a, err := h.ask(f.at()); err != nil || !bytes.Equal(a.extensions[extRenegotiation], []byte{0}) {
		return fmt.Errorf("does not say that it is secure: %s %v, %w", a, a.extensions, err)
	}
	conn, err := dial12(f.at(), hello{name: hostOf(profile)})
	if err != nil {
		return err
	}
	defer conn.Close()
	if again, err := conn.renegotiate(); err != nil || again {
		return fmt.Errorf("renegotiates: %t, %w", again, err)
	}
	return nil
}

func TestProfilesPassWhatAPlusStandsFor(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		f := startFort(t, h, nil, nil)
		for _, p := range probes {
			for _, profile := range weir.TLSProfiles {
				passes := profile != "legacy" || p.legacy
				if err := p.try(f, profile); (err == nil) != passes {
					t.Errorf("%s: %s: %v, want it to pass: %t", profile, p.name, err, passes)
				}
			}
		}
		// By the same means a request gets its answer: that a renegotiation is refused is no fault of the client.
		conn, err := dial12(f.at(), hello{name: hostOf("intermediate")})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.say(recordData, []byte("GET / HTTP/1.1\r\nHost: intermediate.example:8443\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if kind, body, err := conn.next(); err != nil || kind != recordData || !strings.HasPrefix(string(body), "HTTP/1.1 200 ") {
			t.Errorf("record of type %d: %q, %v", kind, body, err)
		}
	})
}

// TestProbesFindWhatIsWeak: of a server that takes what OpenSSL has, they find what they are there for.
func TestProbesFindWhatIsWeak(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	f := startFort(t, h, nil, func(c *haproxy.Config) {
		for i, e := range c.CrtLists[0].Entries {
			if strings.Contains(e.File, "intermediate") {
				c.CrtLists[0].Entries[i].Options = "ssl-min-ver TLSv1.0 ssl-max-ver TLSv1.2 ciphers ALL:COMPLEMENTOFALL:@SECLEVEL=0"
			}
		}
	})
	found := map[string]bool{}
	for _, p := range probes {
		found[p.name] = p.try(f, "intermediate") != nil
	}
	for _, must := range []int{1, 2, 3, 5} {
		if !found[probes[must].name] {
			t.Errorf("not found: %s", probes[must].name)
		}
	}
	const anonymous, null = 0xc018, 0xc010
	if got := suitesTaken(t, f.at(), f.greet("intermediate", tls12)); !slices.Contains(got, anonymous) || !slices.Contains(got, null) {
		t.Errorf("neither anonymous nor unencrypted suites are among %#04x", got)
	}
}

// TestWhoNamesNoSiteGetsNothingWeak: a site with old clients opens no way for those who name no site or another.
func TestWhoNamesNoSiteGetsNothingWeak(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		for _, strict := range []bool{true, false} {
			f := startFort(t, h, func(n *ir.Node) { n.Tuning.StrictSNI = &strict }, nil)
			for _, name := range []string{"", "unknown.example", "x.legacy.example", "example"} {
				for version := uint16(ssl3); version <= tls13; version++ {
					greeting := f.greet("legacy", version)
					greeting.name = name
					got := suitesTaken(t, f.at(), greeting)
					want := map[uint16][]uint16{tls12: aeadECDSA, tls13: suites13}[version]
					if strict {
						want = nil
					}
					if !sameSet(got, want) {
						t.Errorf("strict SNI %t, name %q, version %#04x: takes %#04x, want %#04x", strict, name, version, got, want)
					}
				}
			}
			if a, err := f.greet("legacy", tls10).ask(f.at()); err != nil || !a.agreed() {
				t.Errorf("strict SNI %t: legacy itself: %s, %v", strict, a, err)
			}
		}
	})
}
