package sources

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/weirtest"
)

// resolving asks for the names of partners, until the test or what it gives ends it.
func (b *bed) resolving(nameservers ...string) (stop func()) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	n := NewNames(Options{Store: b.store, Clock: time.Now, Log: slog.New(slog.NewTextHandler(&b.log, nil)), Server: "s1"}, nameservers)
	go func() { done <- n.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	})
	b.t.Cleanup(stop)
	return stop
}

// at waits until the services of the partner have these addresses.
func (b *bed) at(want string) {
	b.t.Helper()
	weirtest.Eventually(b.t, patience, func() error {
		var got []string
		for _, e := range weir.Find[weir.Partner](b.store.View(), "Partner", "example").Endpoints {
			got = append(got, fmt.Sprint(e.Service, e.Resolved))
		}
		if text := strings.Join(got, " "); text != want {
			return fmt.Errorf("the services are %s, not %s\n%s", text, want, b.log.String())
		}
		return nil
	})
}

// named waits until what is kept of a host is as wanted.
func (b *bed) named(host string, want func(weir.NameStatus) bool) (s weir.NameStatus) {
	b.t.Helper()
	weirtest.Eventually(b.t, patience, func() error {
		v, _, err := b.store.Platform(b.t.Context(), nameRecord(weir.PartnerName{Host: host, Prefer: "ipv4"}))
		if err != nil {
			return err
		}
		s = weir.NameStatus{}
		if err := json.Unmarshal(v.Bytes(), &s); err != nil {
			return err
		}
		if !want(s) {
			return fmt.Errorf("of %s is kept %+v", host, s)
		}
		return nil
	})
	return s
}

// TestNamesOfPartners: services have the addresses that a real name server gives, of the preferred family where there is
// one; a name without any is told since its first failure and gets them when it comes; one that is gone keeps its last
// ones, also when another server asks next; and who writes the Partner leaves them alone.
func TestNamesOfPartners(t *testing.T) {
	t.Parallel()
	zone := weirtest.KnotZone{Name: "example.test.", Records: []string{"web A 192.0.2.2", "web A 192.0.2.1", "web AAAA 2001:db8::1", "six AAAA 2001:db8::6"}}
	k := weirtest.StartKnot(t, zone)
	b := newBed(t)
	partner := func(more string) string {
		return `{kind: Partner, metadata: {name: example}, spec: {endpoints: [
  {environment: prod, service: web, host: web.example.test},
  {environment: prod, service: web6, host: web.example.test, prefer: ipv6},
  {environment: prod, service: six, host: six.example.test},
  {environment: prod, service: later, host: later.example.test},
  {environment: prod, service: fixed, host: web.example.test, addresses: [192.0.2.9]},
  {environment: prod, service: own, host: web.example.test, resolve: load-balancer}` + more + `]}}`
	}
	b.apply(partner(""))
	stop := b.resolving(k.Addr)
	b.at("web[192.0.2.1 192.0.2.2] web6[2001:db8::1] six[2001:db8::6] later[] fixed[] own[]")
	none := func(s weir.NameStatus) bool { return strings.Contains(s.Error, "NXDOMAIN") }
	first := b.named("later.example.test", none)
	if s := b.named("web.example.test", func(s weir.NameStatus) bool { return !s.ResolvedAt.IsZero() }); len(s.Servers) != 1 || s.Servers[0] != k.Addr {
		t.Errorf("web is asked of %v", s.Servers)
	}
	// A wish says nothing of addresses, whatever it says; a new service of a known name has them at once.
	b.apply(partner(", {environment: prod, service: more, host: web.example.test, resolved: [192.0.2.77]}"))
	b.at("web[192.0.2.1 192.0.2.2] web6[2001:db8::1] six[2001:db8::6] later[] fixed[] own[] more[192.0.2.1 192.0.2.2]")
	// Who asks next goes on since the same time.
	stop()
	stop = b.resolving(k.Addr)
	zone.Records = []string{"web A 192.0.2.3", "later A 192.0.2.4"}
	if again := b.named("later.example.test", none); !again.FailedAt.Equal(first.FailedAt) {
		t.Errorf("it fails since %s, and since %s for the next", first.FailedAt, again.FailedAt)
	}
	k.Change(zone)
	b.at("web[192.0.2.3] web6[192.0.2.3] six[2001:db8::6] later[192.0.2.4] fixed[] own[] more[192.0.2.3]")
	b.named("six.example.test", none)
	b.named("later.example.test", func(s weir.NameStatus) bool { return s.Error == "" && s.FailedAt.IsZero() })
	stop()
	k.Stop()
	b.resolving(k.Addr)
	b.named("web.example.test", func(s weir.NameStatus) bool { return s.Error != "" })
	b.at("web[192.0.2.3] web6[192.0.2.3] six[2001:db8::6] later[192.0.2.4] fixed[] own[] more[192.0.2.3]")
	// Names of nobody are forgotten.
	b.delete("Partner", "example")
	weirtest.Eventually(t, patience, func() error {
		if list, err := b.store.Platforms(t.Context(), NamePrefix); err != nil || len(list) > 0 {
			return fmt.Errorf("kept: %v, %v", list, err)
		}
		return nil
	})
}
