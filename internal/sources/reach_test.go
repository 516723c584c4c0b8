package sources

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"weir"
)

// TestDestinations: public addresses may be asked, those of the inside only when they are listed, and it counts where a
// name leads when it is connected to.
func TestDestinations(t *testing.T) {
	t.Parallel()
	some, err := ParseDestinations([]string{"10.1.0.0/16", "192.168.7.7", "2001:db8:1::/48", "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"203.0.114.1": true, "8.8.8.8": true, "2a00:1450::1": true,
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "192.168.7.7": true, "2001:db8:1::1": true,
		"10.2.0.1": false, "192.168.7.8": false, "172.16.0.1": false, "127.0.0.1": false, "::1": false, "0.0.0.0": false, "0.1.2.3": false,
		"169.254.169.254": false, "fe80::1": false, "fd00::1": false, "100.64.0.1": false, "198.18.0.1": false, "224.0.0.1": false,
		"255.255.255.255": false, "::ffff:127.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "::": false,
		"fec0::1": false, "::127.0.0.1": false, "::10.0.0.1": false,
	} {
		if got := some.Allows(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	for _, bad := range []string{"", "10.0.0.0/33", "a b", "*.example.com", "*"} {
		if _, err := ParseDestinations([]string{bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	here, err := ParseDestinations([]string{"127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		d    *Destinations
		host string
		ok   bool
	}{{nil, "127.0.0.1", false}, {nil, "localhost", false}, {here, "127.0.0.1", true}, {some, "localhost", true}, {some, "127.0.0.1", false}} {
		conn, err := c.d.Dial(t.Context(), "tcp", net.JoinHostPort(c.host, port))
		if conn != nil {
			_ = conn.Close()
		}
		if c.ok != (err == nil) || err != nil && !strings.Contains(err.Error(), "--discovery-destinations") {
			t.Errorf("%s with %v: %v", c.host, c.d, err)
		}
	}
}

// TestNobodyInsideIsAsked: no driver reaches a place of the inside that is not listed, and the source says what to do.
func TestNobodyInsideIsAsked(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.reach.Destinations = nil
	for name, spec := range map[string]string{
		"consul": `consul: {address: "http://127.0.0.1:8500", services: [web]}`, "zookeeper": "zookeeper: {servers: [127.0.0.1], path: /web}",
		"dns": "dns: {names: [a.example], servers: [127.0.0.1]}", "kubernetes": `kubernetes: {server: "http://127.0.0.1:6443"}`,
		"url": `url: {url: "http://127.0.0.1/a"}`,
	} {
		b.apply("{kind: DiscoverySource, metadata: {name: " + name + "}, spec: {" + spec + ", server: {zone: az1}}}")
	}
	b.run()
	for _, name := range []string{"consul", "zookeeper", "dns", "kubernetes", "url"} {
		b.says(name, func(s weir.SourceStatus) bool { return strings.Contains(s.Error, "--discovery-destinations") })
	}
}

// TestCheck: what only a driver knows to be wrong is said when a source is written.
func TestCheck(t *testing.T) {
	t.Parallel()
	b := newBed(t).reach
	for text, want := range map[string]string{
		`consul: {address: "http://a", services: [web]}`:   "",
		`consul: {address: "http://u:p@a", services: [w]}`: "it must hold no user or password",
		`consul: {address: "http://a"}`:                    "name services to watch",
		"zookeeper: {servers: [a], path: web}":             "is no node",
		"dns: {names: [10.0.0.1]}":                         "is an address already",
		`kubernetes: {server: "http://a", token: s}`:       "not for the clear",
		"file: {path: a, format: toml}":                    "is neither",
		`url: {url: "ftp://a"}`:                            "must begin with http",
		`url: {url: "http://a"}, interval: 0.1s`:           "interval",
	} {
		if !strings.Contains(text, "server: {zone") {
			text += ", server: {zone: a}"
		}
		list, err := weir.Decode("check.yaml", []byte("{kind: DiscoverySource, metadata: {name: a}, spec: {"+text+"}}"))
		if err != nil {
			t.Fatal(text, err)
		}
		list[0].Spec.Normalize()
		err = b.Check(list[0].Spec.(*weir.DiscoverySource))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s is told %v, not %q", text, err, want)
		}
	}
}
