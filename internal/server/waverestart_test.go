package server

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/secrets"
	"weir/internal/store"
	"weir/internal/wave"
	"weir/internal/weirtest"
)

// TestAServerThatStartsShowsTheSame: whatever was changed and however far waves have come, a server that starts anew
// shows each load balancer just what the one before did, out of the record and the changes alone.
func TestAServerThatStartsShowsTheSame(t *testing.T) {
	t.Parallel()
	ring, err := secrets.OpenOrCreateKeyring(t.TempDir() + "/key")
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Check: weir.Check, Keyring: ring})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	text, err := secrets.NewCA(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ca, err := secrets.ParseCA(text, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	start := func() *fleet {
		t.Helper()
		hub, err := link.NewHub(link.HubOptions{Epoch: "e1", CA: ca, Registry: &registry{store: s}, Keys: func(context.Context, string, int64) (secrets.Secret, error) {
			return secrets.Secret{}, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		f := newFleet(s, hub, Options{Log: slog.New(slog.DiscardHandler), Clock: time.Now})
		if err := f.load(t.Context()); err != nil {
			t.Fatal(err)
		}
		return f
	}
	const groups = 3
	apply := func(text string) {
		t.Helper()
		if err := applied(t, s, text); err != nil {
			t.Fatal(err)
		}
	}
	objects := "kind: Zone\nmetadata: {name: az1}\n---\nkind: Zone\nmetadata: {name: az2}\n---\nkind: Role\nmetadata: {name: web}\n"
	for g := range groups {
		objects += fmt.Sprintf(`---
kind: LoadBalancerGroup
metadata: {name: g%[1]d}
spec: {ranges: [10.0.%[1]d.0/24], waves: {}}
---
kind: LoadBalancer
metadata: {name: g%[1]d-a}
spec: {group: g%[1]d, zone: az1}
---
kind: LoadBalancer
metadata: {name: g%[1]d-b}
spec: {group: g%[1]d, zone: az2}
---
kind: IPAddress
metadata: {name: g%[1]d}
spec: {address: 10.0.%[1]d.1, groups: [g%[1]d]}
`, g)
	}
	apply(objects)
	f := start()
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- f.run(ctx) }()
	go f.followWaves(ctx)
	defer func() {
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	}()
	r := rand.New(rand.NewPCG(5, 5))
	for range 40 {
		g := r.IntN(groups)
		switch r.IntN(5) {
		case 0:
			apply(fmt.Sprintf("kind: Pool\nmetadata: {name: p%d, role: web}\nspec: {members: [{name: m, address: 10.1.0.%d, port: 80}]}\n---\n", g, 1+r.IntN(200)) +
				fmt.Sprintf("kind: Site\nmetadata: {name: s%[1]d, role: web}\nspec: {hostnames: [s%[1]d-%[2]d.example.com], addresses: [g%[1]d], listeners: [{port: 80}], backends: {default: p%[1]d}}\n", g, r.IntN(99)))
		case 1:
			apply(fmt.Sprintf("kind: Server\nmetadata: {name: srv%d, role: web}\nspec: {address: 10.2.0.%d, zone: az1, ports: {http: 80}, weight: %d}\n", r.IntN(9), 1+r.IntN(200), r.IntN(200)))
		case 2:
			apply(fmt.Sprintf("kind: Pool\nmetadata: {name: p%d, role: web}\nspec: {selector: {role: web}, port: http, balance: %s}\n", g, []string{"leastconn", "roundrobin"}[r.IntN(2)]))
		default:
			name, now := fmt.Sprint("g", g), s.Revision()
			err := changeWaves(t.Context(), s, func(record *waveRecord) error {
				had := record.Groups[name]
				switch {
				case had.Base == 0:
					had.Base = now
				case had.Wave == nil && now > had.Base:
					had.Wave = &wave.Wave{Target: now, State: wave.Going, Step: wave.Canaries, Canaries: []string{name + "-a"}, Zone: "az1"}
				case had.Wave != nil && r.IntN(3) == 0:
					had = had.Back(time.Time{}, "", "bad")
				case had.Wave != nil:
					had = wave.Group{Base: had.Wave.Target}
				}
				record.Groups[name] = had
				f.mu.RLock()
				defer f.mu.RUnlock()
				if f.revision >= record.Seen {
					record.remember(f.past, f.revision)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		value, _, err := s.Platform(t.Context(), sharedWaves)
		if weir.KindOf(err) == weir.NotFound {
			continue
		}
		record, err := decodeWaves(value)
		if err != nil {
			t.Fatal(err)
		}
		revision := s.Revision()
		weirtest.Eventually(t, weirtest.Patience, func() error {
			f.mu.RLock()
			defer f.mu.RUnlock()
			if f.revision < revision {
				return fmt.Errorf("revision %d is compiled, not %d", f.revision, revision)
			}
			for name, g := range record.Groups {
				if f.groups[name].waved == nil || !same(f.groups[name].waved.group, g) {
					return fmt.Errorf("the record of %s is not followed", name)
				}
			}
			return nil
		})
		fresh := start()
		for g := range groups {
			for _, lb := range []ir.Self{{Name: fmt.Sprintf("g%d-a", g), Zone: "az1"}, {Name: fmt.Sprintf("g%d-b", g), Zone: "az2"}} {
				if a, b := f.shown(g, lb), fresh.shown(g, lb); a != b {
					t.Fatalf("revision %d: %s is shown something else by a server that starts:\n%s\n%s\nrecord %s", revision, lb.Name, a, b, value.Text())
				}
				a, _ := f.hub.Wanted(lb.Name)
				if b, _ := fresh.hub.Wanted(lb.Name); a.Hash != b.Hash {
					t.Fatalf("revision %d: %s is to have another content", revision, lb.Name)
				}
			}
		}
	}
}

// shown gives what a load balancer is to have, as text.
func (f *fleet) shown(group int, self ir.Self) string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	g := f.groups[fmt.Sprint("g", group)]
	out := ""
	for _, r := range g.of(self).resources {
		out += r.ID + " " + string(r.JSON()) + "\n"
	}
	return out
}
