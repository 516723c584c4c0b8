package haproxy_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// fort is a HAProxy with a site for each TLS profile, at one port and each with twins of a certificate.
type fort struct {
	proxy
	pki pki
}

// hostOf is the name of a profile's site.
func hostOf(profile string) string { return profile + ".example" }

const fortPort = 8443

func (f fort) at() string { return f.addr(17, fortPort) }

// startFort runs it with what edit and change make of it; either may be nil.
func startFort(t *testing.T, h weirtest.HAProxy, edit func(*ir.Node), change func(*haproxy.Config)) fort {
	t.Helper()
	f := fort{proxy{prefix: weirtest.Prefix(t), origins: map[byte]*weirtest.Origin{}}, newPKI(t)}
	n := testNode(f.prefix)
	n.Pools, n.Sites, n.Certificates, n.Maps = nil, nil, nil, nil
	at := f.prefix.Addr().As4()
	at[3] = 33
	n.Pools = []ir.Pool{{Name: "web", Mode: "http", Balance: "roundrobin", Check: weir.HealthCheck{Type: "none"}, Servers: []ir.Server{{Name: "s", Address: netip.AddrPortFrom(netip.AddrFrom4(at), 9000), Weight: 1}}}}
	f.origins[33] = weirtest.NewOrigin(t, n.Pools[0].Servers[0].Address.String())
	for _, profile := range weir.TLSProfiles {
		twins := []string{profile + "-ec", profile + "-rsa"}
		for _, name := range twins {
			n.Certificates = append(n.Certificates, ir.Certificate{Name: name, Chain: weir.NewChain(f.pki.pair(name).chain), Key: &weir.SealedRef{Generation: 1}})
		}
		n.Sites = append(n.Sites, ir.Site{
			Name: profile, Mode: "http", Hostnames: []string{hostOf(profile)}, Addresses: []string{"vip1"},
			Listeners: []ir.Listener{{Port: fortPort, Mode: weir.PortHTTPS, TLS: &weir.ListenerTLS{Certificates: twins, Profile: profile, ALPN: []string{"h2", "http/1.1"}}}},
			Backends:  []ir.Backend{{Name: "default", Pool: "web"}},
		})
	}
	if edit != nil {
		edit(&n)
	}
	version, err := haproxy.ParseVersion(h.Version)
	if err != nil {
		t.Fatal(err)
	}
	c := haproxy.Render(n, haproxy.Env{Version: version})
	if change != nil {
		change(&c)
	}
	dir := weirtest.TempDir(t)
	writeFiles(t, dir, c)
	files := map[string]string{haproxy.StateFile: "", haproxy.PlaceholderCert: string(selfSigned(t))}
	for _, cert := range c.Certs {
		p := f.pki.pair(cert.Certificate)
		files[cert.Path] = p.chain + p.key
	}
	for path, content := range files {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := weirtest.Command(t, "sh", "-c", "cd "+dir+" && "+h.Path+" -c -dW -f haproxy.cfg")
	if err := check.Wait(); err != nil {
		t.Fatalf("%v: %s", err, check.Output())
	}
	weirtest.Command(t, "sh", "-c", "cd "+dir+" && exec "+h.Path+" -db -f haproxy.cfg")
	weirtest.Eventually(t, weirtest.Patience, func() error {
		_, err := f.greet("modern", tls13).ask(f.at())
		return err
	})
	return f
}

// greet is a greeting that offers all that there is at a version.
func (f fort) greet(profile string, version uint16) hello {
	h := hello{version: version, suites: everySuite(version), name: hostOf(profile), groups: everyGroup()}
	if version >= tls12 {
		h.schemes = slices.Concat(schemesRSA, schemesECDSA)
	}
	if version == tls13 {
		h.version, h.versions = tls12, []uint16{tls13}
	}
	return h
}

var (
	schemesRSA   = []uint16{0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601}
	schemesECDSA = []uint16{0x0403, 0x0503, 0x0603}
	schemesSHA1  = []uint16{0x0201, 0x0203}
)

// everySuite are all that were ever registered, and all numbers between, but those that are no suites.
func everySuite(version uint16) []uint16 {
	var list []uint16
	if version == tls13 {
		return append(list, 0x1301, 0x1302, 0x1303, 0x1304, 0x1305, 0x1306, 0x1307)
	}
	for s := uint16(1); s < 0xff; s++ {
		list = append(list, s)
	}
	for s := uint16(0xc001); s <= 0xc0ff; s++ {
		list = append(list, s)
	}
	for s := uint16(0xcc13); s <= 0xccae; s++ {
		list = append(list, s)
	}
	return append(list, 0xd001, 0xd002, 0xd003, 0xd005, 0xfefe, 0xfeff)
}

// everyGroup are all elliptic curves and finite fields that were ever registered, and those with ML-KEM.
func everyGroup() []uint16 {
	var list []uint16
	for g := uint16(1); g <= 41; g++ {
		list = append(list, g)
	}
	return append(list, 256, 257, 258, 259, 260, 512, 513, 514, 4587, 4588, 4589, 0x6399, 0x639a)
}

// taken asks again and again, without what the server chose before, until it refuses: all that it takes, best first.
func taken(t *testing.T, addr string, h hello, choice func(answered) uint16, offer func(*hello) *[]uint16) []uint16 {
	t.Helper()
	var list []uint16
	for {
		a, err := h.ask(addr)
		if err != nil {
			t.Fatal(err)
		}
		if !a.agreed() {
			return list
		}
		got := choice(a)
		left := slices.DeleteFunc(slices.Clone(*offer(&h)), func(v uint16) bool { return v == got })
		if len(left) == len(*offer(&h)) {
			t.Fatalf("the server chose %#04x, which was not offered", got)
		}
		list, *offer(&h) = append(list, got), left
		if len(left) == 0 {
			return list
		}
	}
}

func suitesTaken(t *testing.T, addr string, h hello) []uint16 {
	return taken(t, addr, h, func(a answered) uint16 { return a.suite }, func(h *hello) *[]uint16 { return &h.suites })
}

func groupsTaken(t *testing.T, addr string, h hello) []uint16 {
	return taken(t, addr, h, func(a answered) uint16 { return a.group }, func(h *hello) *[]uint16 { return &h.groups })
}

// What each profile takes, best first, as its clients see it.
var (
	suites13    = []uint16{0x1301, 0x1302, 0x1303}
	aeadECDSA   = []uint16{0xc02b, 0xc02c, 0xcca9}
	aeadRSA     = []uint16{0xc02f, 0xc030, 0xcca8}
	legacyECDSA = append(slices.Clone(aeadECDSA), 0xc023, 0xc009, 0xc024, 0xc00a)
	legacyRSA   = append(slices.Clone(aeadRSA), 0xc027, 0xc013, 0xc028, 0xc014, 0x009c, 0x009d, 0x003c, 0x003d, 0x002f, 0x0035)
	legacyCBC   = []uint16{0xc013, 0xc014, 0x002f, 0x0035}
)

// TestProfilesTakeWhatTheySay tries every version with every suite that was ever registered.
func TestProfilesTakeWhatTheySay(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		f := startFort(t, h, nil, nil)
		for _, c := range []struct {
			profile string
			version uint16
			schemes []uint16
			want    []uint16
		}{
			{"modern", tls13, schemesECDSA, suites13},
			{"modern", tls13, schemesRSA, suites13},
			{"modern", tls12, nil, nil},
			{"modern", tls11, nil, nil},
			{"modern", tls10, nil, nil},
			{"intermediate", tls13, schemesECDSA, suites13},
			{"intermediate", tls13, schemesRSA, suites13},
			{"intermediate", tls12, schemesECDSA, aeadECDSA},
			{"intermediate", tls12, schemesRSA, aeadRSA},
			{"intermediate", tls11, nil, nil},
			{"intermediate", tls10, nil, nil},
			{"legacy", tls13, schemesECDSA, suites13},
			{"legacy", tls13, schemesRSA, suites13},
			{"legacy", tls12, schemesECDSA, legacyECDSA},
			{"legacy", tls12, schemesRSA, legacyRSA},
			{"legacy", tls11, nil, legacyCBC},
			{"legacy", tls10, nil, legacyCBC},
			{"modern", ssl3, nil, nil},
			{"intermediate", ssl3, nil, nil},
			{"legacy", ssl3, nil, nil},
			{"modern", ssl2, nil, nil},
			{"intermediate", ssl2, nil, nil},
			{"legacy", ssl2, nil, nil},
		} {
			greeting := f.greet(c.profile, c.version)
			if c.schemes != nil {
				greeting.schemes = c.schemes
			}
			got := suitesTaken(t, f.at(), greeting)
			if !sameSet(got, c.want) || len(got) > 0 && got[0] != c.want[0] {
				t.Errorf("%s, version %#04x, schemes %#04x:\ntakes %#04x\nwant  %#04x", c.profile, c.version, c.schemes, got, c.want)
			}
		}
	})
}

func sameSet(a, b []uint16) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// TestGroupsAreStrong: every key exchange has 128 bits of strength at least, and the first that is chosen withstands
// quantum computers where the library can do that.
func TestGroupsAreStrong(t *testing.T) {
	t.Parallel()
	weak := func(g uint16) bool { return g < 23 || g == 256 || g >= 512 && g < 4587 }
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		f := startFort(t, h, nil, nil)
		for _, c := range []struct {
			profile string
			version uint16
		}{{"modern", tls13}, {"intermediate", tls13}, {"intermediate", tls12}, {"legacy", tls13}, {"legacy", tls12}, {"legacy", tls10}} {
			greeting := f.greet(c.profile, c.version)
			if c.version < tls13 { // the curve of an ECDSA key must be among the groups, too
				greeting.suites, greeting.schemes = []uint16{0xc02f, 0xc013}, greeting.schemes[:min(len(greeting.schemes), len(schemesRSA))]
			}
			got := groupsTaken(t, f.at(), greeting)
			if slices.ContainsFunc(got, func(g uint16) bool { return weak(g) && g != 256 }) {
				t.Errorf("%s, version %#04x: takes the weak among %d", c.profile, c.version, got)
			}
			for _, usual := range []uint16{23, 24, groupX25519} {
				if !slices.Contains(got, usual) {
					t.Errorf("%s, version %#04x: takes %d, and not %d", c.profile, c.version, got, usual)
				}
			}
			if c.version == tls13 && got[0] != 4588 {
				t.Errorf("%s, version %#04x: %d is wanted most, not X25519MLKEM768", c.profile, c.version, got)
			}
			t.Logf("%s, version %#04x: groups %d", c.profile, c.version, got)
		}
	})
}

// TestProfilesOverGo completes handshakes of Go's own client at every version, with every suite, curve and kind of
// key, and looks at the whole of what was agreed.
func TestProfilesOverGo(t *testing.T) {
	t.Parallel()
	oldest := map[string]uint16{"modern": tls13, "intermediate": tls12, "legacy": tls10}
	strong := map[uint16]bool{}
	for _, s := range slices.Concat(aeadECDSA, aeadRSA, suites13) {
		strong[s] = true
	}
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		f := startFort(t, h, nil, nil)
		agreed := map[string]int{}
		for _, profile := range weir.TLSProfiles {
			for version := uint16(tls10); version <= tls13; version++ {
				for _, suite := range goSuites(version) {
					for _, curve := range []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521} {
						if curve == tls.X25519MLKEM768 && version < tls13 {
							continue
						}
						state, err := f.shake(profile, version, suite, curve)
						if want := version >= oldest[profile]; err == nil && (!want || !strong[state.CipherSuite] && profile != "legacy") {
							t.Errorf("%s agreed to version %#04x, suite %#04x", profile, version, state.CipherSuite)
						}
						if err != nil && version >= oldest[profile] && strong[suite] {
							t.Errorf("%s, version %#04x, suite %#04x, curve %s: %v", profile, version, suite, curve, err)
						}
						if err != nil {
							continue
						}
						agreed[profile]++
						kind := state.PeerCertificates[0].PublicKeyAlgorithm
						if ecdsa := slices.Contains(legacyECDSA, suite); version < tls13 && ecdsa != (kind == x509.ECDSA) {
							t.Errorf("%s, suite %#04x: was shown a certificate with %s", profile, suite, kind)
						}
					}
				}
			}
		}
		if agreed["modern"] < 4 || agreed["intermediate"] < 20 || agreed["legacy"] < 60 {
			t.Errorf("too few handshakes were agreed to: %v", agreed)
		}
		t.Logf("handshakes agreed to: %v", agreed)
	})
}

// goSuites are what Go's client can be told to offer at a version; of TLS 1.3 it offers always all.
func goSuites(version uint16) []uint16 {
	if version == tls13 {
		return []uint16{0x1301}
	}
	seen := map[uint16]bool{}
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if slices.Contains(s.SupportedVersions, version) {
			seen[s.ID] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// shake makes a handshake of a client that can do just this; what is shown must be complete up to the root, without
// it, and of keys that are long enough.
func (f fort) shake(profile string, version, suite uint16, curve tls.CurveID) (tls.ConnectionState, error) {
	conn, err := tls.Dial("tcp", f.at(), &tls.Config{
		ServerName: hostOf(profile), RootCAs: f.pki.roots(), MinVersion: version, MaxVersion: version,
		// A client that knows ECDSA in TLS 1.2 must know the curve of the key, too.
		CipherSuites: []uint16{suite}, CurvePreferences: []tls.CurveID{curve, tls.CurveP256}, NextProtos: []string{"h2", "http/1.1"},
	})
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	state := conn.ConnectionState()
	if len(state.PeerCertificates) != 2 || state.NegotiatedProtocol != "h2" {
		return state, fmt.Errorf("%d certificates and the protocol %q", len(state.PeerCertificates), state.NegotiatedProtocol)
	}
	return state, nil
}
