package drift_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/drift"
	"weir/internal/haproxy"
)

// base is a small load balancer with something of everything.
func base() haproxy.Config {
	server := func(n int) haproxy.Server {
		return haproxy.Server{
			Name: fmt.Sprintf("web%d.abcd", n), Address: fmt.Sprintf("10.0.0.%d:80", n), Options: "check", Check: true, ID: n, Weight: 100, Owner: fmt.Sprintf("Server/web%d", n),
		}
	}
	return haproxy.Config{
		Version: haproxy.Version{Major: 3, Minor: 4},
		Backends: []haproxy.Backend{
			{Name: "api.abcd", Profile: "p", Mode: "http", Owner: "Pool/api", Servers: []haproxy.Server{server(1)}},
			{Name: "web.abcd", Profile: "p", Mode: "http", Owner: "Pool/web", Servers: []haproxy.Server{server(1), server(2), server(3)}},
		},
		Maps: []haproxy.Map{
			{Path: "maps/hosts.map", Entries: []haproxy.Entry{{Key: "a.example", Value: "a", Owner: "Site/a"}, {Key: "b.example", Value: "b", Owner: "Site/b"}}},
			{Path: "maps/regex.map", Ordered: true, Entries: []haproxy.Entry{{Key: "^/1", Value: "a", Owner: "Map/m"}, {Key: "^/", Value: "b", Owner: "Map/m"}}},
		},
		Certs: []haproxy.Cert{
			{Path: "certs/a.pem", Chain: weir.NewChain("A"), Certificate: "a", Digest: "1", Owner: "Certificate/a"},
			{Path: "certs/ca.pem", Chain: weir.NewChain("C"), Certificate: "ca", Digest: "2", Authority: true, Owner: "Certificate/ca"},
		},
		CrtLists: []haproxy.CrtList{{Path: "certs/443.list", Entries: []haproxy.CrtEntry{{File: "certs/a.pem", SNI: []string{"a.example"}, Owner: "Certificate/a"}}}},
	}
}

// clone lets a configuration be changed.
func clone(c haproxy.Config) haproxy.Config {
	c.Backends, c.Maps, c.Certs, c.CrtLists = slices.Clone(c.Backends), slices.Clone(c.Maps), slices.Clone(c.Certs), slices.Clone(c.CrtLists)
	for i := range c.Backends {
		c.Backends[i].Servers = slices.Clone(c.Backends[i].Servers)
	}
	for i := range c.Maps {
		c.Maps[i].Entries = slices.Clone(c.Maps[i].Entries)
	}
	for i := range c.CrtLists {
		c.CrtLists[i].Entries = slices.Clone(c.CrtLists[i].Entries)
	}
	return c
}

func TestWhatIsFoundIsSaidInWords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hand func(c *haproxy.Config)
		want []string
	}{
		"nothing":     {func(*haproxy.Config) {}, nil},
		"weight":      {func(c *haproxy.Config) { c.Backends[1].Servers[0].Weight = 7 }, []string{"Weight Server/web1 web web1: weight 100 → 7"}},
		"drain":       {func(c *haproxy.Config) { c.Backends[1].Servers[0].Drained = true }, []string{"State Server/web1 web web1: drained by hand"}},
		"maintenance": {func(c *haproxy.Config) { c.Backends[1].Servers[0].Maintenance = true }, []string{"State Server/web1 web web1: put into maintenance by hand"}},
		"address": {func(c *haproxy.Config) { c.Backends[1].Servers[0].Address = "10.9.9.9:1" }, []string{
			"Address Server/web1 web web1: address 10.0.0.1:80 → 10.9.9.9:1",
		}},
		"bound": {func(c *haproxy.Config) { c.Backends[1].Servers[0].MaxConnections = 3 }, []string{"Limit Server/web1 web web1: bound of connections none → 3"}},
		"a server deleted": {func(c *haproxy.Config) { c.Backends[1].Servers = c.Backends[1].Servers[1:] }, []string{
			"Server Server/web1 web web1: deleted by hand",
		}},
		"a server added": {func(c *haproxy.Config) {
			c.Backends[1].Servers = append(c.Backends[1].Servers, haproxy.Server{Name: "x", Address: "10.9.9.9:1"})
		}, []string{"Server Pool/web web x: added by hand at 10.9.9.9:1"}},
		"a backend deleted": {func(c *haproxy.Config) { c.Backends = c.Backends[1:] }, []string{"Backend Pool/api api : deleted by hand"}},
		"a backend added":   {func(c *haproxy.Config) { c.Backends = append(c.Backends, haproxy.Backend{Name: "x"}) }, []string{"Backend   : backend x added by hand"}},
		"unpublished":       {func(c *haproxy.Config) { c.Backends[0].Unpublished = true }, []string{"Published Pool/api api : unpublished by hand"}},
		"entries": {func(c *haproxy.Config) {
			c.Maps[0].Entries = []haproxy.Entry{{Key: "b.example", Value: "evil"}, {Key: "c.example", Value: "evil"}}
		}, []string{
			"Entry Site/a  : maps/hosts.map: entry a.example deleted by hand", "Entry Site/b  : maps/hosts.map: entry b.example: b → evil",
			"Entry   : maps/hosts.map: entry c.example added by hand",
		}},
		"an entry twice": {func(c *haproxy.Config) {
			c.Maps[0].Entries = append(c.Maps[0].Entries, haproxy.Entry{Key: "b.example", Value: "evil"})
		}, []string{
			"Map   : maps/hosts.map: changed by hand, 2 entries → 3",
		}},
		"order": {func(c *haproxy.Config) { slices.Reverse(c.Maps[1].Entries) }, []string{
			"Map Map/m  : maps/regex.map: put in another order by hand, 2 entries → 2",
		}},
		"certificate": {func(c *haproxy.Config) { c.Certs[0].Digest = "x" }, []string{"Certificate Certificate/a  : swapped for another by hand"}},
		"authority":   {func(c *haproxy.Config) { c.Certs[1].Digest = "x" }, []string{"Authority Certificate/ca  : swapped for another by hand"}},
		"list": {func(c *haproxy.Config) { c.CrtLists[0].Entries[0].SNI = []string{"b.example"} }, []string{
			"ListLine Certificate/a  : its line in certs/443.list deleted by hand", "ListLine   : certs/443.list: line certs/a.pem b.example added by hand",
		}},
		"options in another order": {func(c *haproxy.Config) { c.CrtLists[0].Entries[0].Owner = "" }, nil},
	} {
		seen := clone(base())
		c.hand(&seen)
		var got []string
		for _, i := range drift.Find(base(), seen) {
			got = append(got, fmt.Sprintf("%s %s %s %s: %s", i.Kind, i.Object, i.Pool, i.Server, i.Text))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: found\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

// meddle changes a configuration as somebody at the socket, or a new wish, might.
func meddle(rng *rand.Rand, c *haproxy.Config) {
	b := &c.Backends[rng.IntN(len(c.Backends))]
	m := &c.Maps[0]
	switch rng.IntN(12) {
	case 0:
		b.Servers = append(b.Servers, haproxy.Server{Name: fmt.Sprintf("x%d", rng.IntN(4)), Address: "10.9.9.9:1", ID: 50 + rng.IntN(4), Weight: 1})
		slices.SortFunc(b.Servers, func(x, y haproxy.Server) int { return strings.Compare(x.Name, y.Name) })
		b.Servers = slices.CompactFunc(b.Servers, func(x, y haproxy.Server) bool { return x.Name == y.Name })
	case 1:
		if len(b.Servers) > 0 {
			b.Servers = slices.Delete(b.Servers, 0, 1)
		}
	case 2:
		m.Entries = append(m.Entries, haproxy.Entry{Key: fmt.Sprintf("k%d", rng.IntN(3)), Value: "v"})
		slices.SortStableFunc(m.Entries, func(x, y haproxy.Entry) int { return strings.Compare(x.Key, y.Key) })
	case 3:
		if len(m.Entries) > 0 {
			m.Entries = slices.Delete(m.Entries, 0, 1)
		}
	case 4:
		slices.Reverse(c.Maps[1].Entries)
	case 5:
		c.Certs[rng.IntN(len(c.Certs))].Digest = fmt.Sprint(rng.IntN(4))
	case 6:
		c.CrtLists[0].Entries = append(c.CrtLists[0].Entries, haproxy.CrtEntry{File: "certs/b.pem", Options: fmt.Sprint("o", rng.IntN(3))})
		slices.SortFunc(c.CrtLists[0].Entries, func(x, y haproxy.CrtEntry) int { return strings.Compare(x.File+x.Options, y.File+y.Options) })
		c.CrtLists[0].Entries = slices.CompactFunc(c.CrtLists[0].Entries, func(x, y haproxy.CrtEntry) bool { return reflect.DeepEqual(x, y) })
	case 7:
		if len(c.Backends) > 1 {
			c.Backends = slices.Delete(c.Backends, 0, 1)
		}
	default:
		if len(b.Servers) == 0 {
			return
		}
		s := &b.Servers[rng.IntN(len(b.Servers))]
		switch rng.IntN(4) {
		case 0:
			s.Weight = rng.IntN(3)
		case 1:
			s.Maintenance, s.Drained = !s.Maintenance, false
		case 2:
			s.Drained, s.Maintenance = !s.Drained, false
		default:
			s.MaxConnections = rng.IntN(3)
		}
	}
}

// Whatever hands and wishes do, what was found is all there is, what is left is as it was found, and what a wish says
// anew is as the wish says.
func TestOverRandomHandsAndWishes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 17))
		due := base()
		seen, want := clone(due), clone(due)
		for range rng.IntN(8) {
			meddle(rng, &seen)
		}
		for range rng.IntN(5) {
			meddle(rng, &want)
		}
		// Nobody wishes for a key twice.
		want.Maps[0].Entries = slices.CompactFunc(want.Maps[0].Entries, func(a, b haproxy.Entry) bool { return a.Key == b.Key })
		items := drift.Find(due, seen)
		places := drift.Places(items)
		if left := drift.Find(seen, drift.Overlay(due, seen, places)); len(left) > 0 {
			t.Fatalf("seed %d: laid over what is due, of what was seen differs %+v", seed, left)
		}
		if left := drift.Find(due, drift.Overlay(seen, due, places)); len(left) > 0 {
			t.Fatalf("seed %d: brought back, of what is due differs %+v", seed, left)
		}
		adopted := 0 // drained by hand, and of no weight anyway
		for _, i := range items {
			if i.Kind == drift.State && i.Is == drift.Drained && !slices.ContainsFunc(drift.Left(items, due), func(l drift.Item) bool { return l.Place == i.Place }) {
				adopted++
			}
		}
		if all := drift.Left(items, due); len(all)+adopted != len(items) {
			t.Fatalf("seed %d: without a new wish %d of %d are left", seed, len(all), len(items))
		}
		left := drift.Left(items, want)
		target := drift.Overlay(want, seen, drift.Places(left))
		isLeft := map[drift.Place]bool{}
		for _, i := range left {
			isLeft[i.Place] = true
		}
		// A place differs from the wish only where something is left, and there it is as seen.
		for _, d := range drift.Find(want, target) {
			if !isLeft[d.Place] {
				t.Fatalf("seed %d: %+v is neither wished nor left", seed, d)
			}
		}
		for _, d := range drift.Find(target, seen) {
			if isLeft[d.Place] {
				t.Fatalf("seed %d: %+v is to be left", seed, d)
			}
		}
	}
}

func TestAWishIsNewerThanAHand(t *testing.T) {
	t.Parallel()
	seen := clone(base())
	seen.Backends[1].Servers[0].Weight = 7
	seen.Backends[1].Servers[1].Drained = true
	seen.Backends[1].Servers = seen.Backends[1].Servers[:2] // web3 is deleted
	items := drift.Find(base(), seen)
	want := clone(base())
	want.Backends[1].Servers[0].Weight = 50
	want.Backends[1].Servers[1].Weight = 30
	want.Backends[1].Servers = want.Backends[1].Servers[:2] // and is no longer wished
	target := drift.Overlay(want, seen, drift.Places(drift.Left(items, want)))
	for i, wanted := range []haproxy.Server{{Weight: 50}, {Weight: 30, Drained: true}} {
		if s := target.Backends[1].Servers[i]; s.Weight != wanted.Weight || s.Drained != wanted.Drained {
			t.Errorf("%+v", s)
		}
	}
	if n := len(target.Backends[1].Servers); n != 2 {
		t.Errorf("%d servers", n)
	}
}
