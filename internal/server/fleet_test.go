package server

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/compile"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/secrets"
	"weir/internal/store"
	"weir/internal/weirtest"
)

// However changes come together, what each group is sent is what its objects compile to: none is passed over
// because the view was ahead of the events. Of the newest is known which group each concerns.
func TestNoChangeIsPassedOver(t *testing.T) {
	t.Parallel()
	const groups, writers, changes = 40, 8, 60
	s, f := newTestFleet(t)
	put := func(kind, name string, spec weir.Spec) weir.Write {
		return weir.Write{Put: &weir.Object{Kind: kind, Metadata: weir.Metadata{Name: name}, Spec: spec}}
	}
	writes := []weir.Write{put("Zone", "az1", &weir.Zone{}), {Put: decoded(t, "kind: Role\nmetadata: {name: web}\nspec: {contact: ann}")}}
	for g := range groups {
		name := fmt.Sprintf("g%02d", g)
		for _, text := range []string{
			fmt.Sprintf("kind: LoadBalancerGroup\nmetadata: {name: %s}\nspec: {ranges: [10.0.%d.0/28]}", name, g),
			fmt.Sprintf("kind: IPAddress\nmetadata: {name: %s}\nspec: {address: 10.0.%d.1, homeZone: az1, groups: [%s]}", name, g, name),
			fmt.Sprintf("kind: Server\nmetadata: {name: %s, role: web}\nspec: {address: 10.1.%d.1, zone: az1, clusters: [%s], ports: {http: 80}}", name, g, name),
			fmt.Sprintf("kind: Pool\nmetadata: {name: %s, role: web}\nspec: {selector: {role: web, clusters: [%s]}, port: http}", name, name),
			fmt.Sprintf("kind: Site\nmetadata: {name: %s, role: web}\nspec: {hostnames: [%s.example.com], addresses: [%s], listeners: [{port: 80}], backends: {default: %s}}", name, name, name, name),
		} {
			writes = append(writes, weir.Write{Put: decoded(t, text)})
		}
	}
	if _, err := s.Apply(t.Context(), store.Request{Author: "ann", Writes: writes}); err != nil {
		t.Fatal(err)
	}
	if err := f.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- f.run(ctx) }()
	var all sync.WaitGroup
	var mu sync.Mutex
	about := map[int64]string{}
	for w := range writers {
		all.Go(func() {
			for i := range changes {
				n := (w*changes + i) % groups
				server := s.View().Get(weir.Ref{Kind: "Server", Name: fmt.Sprintf("g%02d", n)}).Clone()
				weight := 1 + (w*changes+i)/groups // none twice for one server, which would be no change
				server.Spec.(*weir.Server).Weight = &weight
				made, err := s.Apply(t.Context(), store.Request{Author: "ann", Writes: []weir.Write{{Put: server}}})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				about[made.Revision] = server.Metadata.Name
				mu.Unlock()
			}
		})
	}
	all.Wait()
	view := s.View()
	weirtest.Eventually(t, weirtest.Patience, func() error {
		if f.done() < view.Revision {
			return fmt.Errorf("revision %d is compiled, not %d", f.done(), view.Revision)
		}
		return nil
	})
	for revision := view.Revision; revision > view.Revision-mostConcerned; revision-- {
		for g := range groups {
			if name := fmt.Sprintf("g%02d", g); f.Concerns(revision, name) != (name == about[revision]) {
				t.Errorf("change %d is of %s; that it concerns %s is told as %t", revision, about[revision], name, f.Concerns(revision, name))
			}
		}
	}
	if !f.Concerns(2, "g01") {
		t.Error("of what nobody remembers somebody is left out")
	}
	for g := range groups {
		name := fmt.Sprintf("g%02d", g)
		fresh, _ := compile.Group(view, name)
		f.mu.RLock()
		have := f.groups[name].resources
		f.mu.RUnlock()
		want := slices.DeleteFunc(fresh.Resources(), func(r *ir.Resource) bool { return r.ID == "self" })
		if !slices.EqualFunc(have, want, func(a, b *ir.Resource) bool { return a.ID == b.ID && a.Same(b) }) {
			t.Errorf("group %s is sent something else than its objects say", name)
		}
	}
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

func decoded(t *testing.T, text string) *weir.Object {
	t.Helper()
	list, err := weir.Decode("test", []byte(text))
	if err != nil || len(list) != 1 {
		t.Fatalf("%v\n%s", err, text)
	}
	return list[0]
}

// applied writes all objects of a text as one change.
func applied(t *testing.T, s *store.Store, text string) error {
	t.Helper()
	list, err := weir.Decode("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var writes []weir.Write
	for _, o := range list {
		writes = append(writes, weir.Write{Put: o})
	}
	_, err = s.Apply(t.Context(), store.Request{Author: "ann", Writes: writes})
	return err
}

// newTestFleet gives a fleet on a store of its own that nothing runs yet.
func newTestFleet(t *testing.T) (*store.Store, *fleet) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Check: weir.Check})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, testFleet(t, s)
}

// testFleet is a fleet of a store's objects that nobody reports to.
func testFleet(t testing.TB, s *store.Store) *fleet {
	t.Helper()
	text, err := secrets.NewCA(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ca, err := secrets.ParseCA(text, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	hub, err := link.NewHub(link.HubOptions{Epoch: "e1", CA: ca, Registry: &registry{store: s}, Keys: func(context.Context, string, int64) (secrets.Secret, error) {
		return secrets.Secret{}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return newFleet(s, hub, Options{Log: slog.New(slog.DiscardHandler), Clock: time.Now})
}
