package sources

import (
	"strings"
	"testing"

	"weir"
	"weir/internal/weirtest"
)

// TestDNS: a real name server's addresses and services become servers, one name that does not exist holds up no others,
// and a server that is away takes none.
func TestDNS(t *testing.T) {
	t.Parallel()
	k := weirtest.StartKnot(t, weirtest.KnotZone{Name: "example.test.", Records: []string{
		"web A 192.0.2.1", "web A 192.0.2.2", "a A 192.0.2.11", "b A 192.0.2.12", "_http._tcp SRV 1 5 8081 a", "_http._tcp SRV 1 5 8082 b",
	}})
	b := newBed(t)
	b.apply(`{kind: DiscoverySource, metadata: {name: web}, spec: {dns: {names: [web.example.test, none.example.test], servers: ["` + k.Addr + `"], minTTL: 1s}, interval: 1s, role: web, server: {zone: az1}}}
---
{kind: DiscoverySource, metadata: {name: http}, spec: {dns: {names: [_http._tcp.example.test], srv: true, servers: ["` + k.Addr + `"], minTTL: 1s}, interval: 1s, role: web, server: {zone: az1, weight: "${weight}", ports: {http: "${port}"}}}}`)
	b.run()
	want := []string{"192-0-2-1=192.0.2.1", "192-0-2-2=192.0.2.2", "a-example-test=192.0.2.11", "b-example-test=192.0.2.12"}
	b.has(want...)
	if s := weir.Find[weir.Server](b.store.View(), "Server", "b-example-test"); s.Ports["http"] != 8082 || *s.Weight != 5 {
		t.Errorf("it is %+v", s)
	}
	s := b.says("web", func(s weir.SourceStatus) bool { return strings.Contains(s.Error, "NXDOMAIN") })
	if !s.Unread || s.Servers != 2 {
		t.Errorf("it says %+v", s)
	}
	k.Stop()
	b.says("http", func(s weir.SourceStatus) bool { return s.Error != "" })
	b.has(want...)
}
