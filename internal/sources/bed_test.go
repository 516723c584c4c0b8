package sources

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/discovery"
	"weir/internal/secrets"
	"weir/internal/store"
	"weir/internal/weirtest"
)

// patience is how long a test waits for what must happen.
const patience = weirtest.Patience

// bed is a store with zones and a role, a folder of files, and a runner.
type bed struct {
	t      *testing.T
	store  *store.Store
	reach  Reach
	folder string
	clock  func() time.Time
	log    logged
	stop   func()
}

// logged is all that was logged.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{t: t, folder: weirtest.TempDir(t), clock: time.Now, stop: func() {}}
	ring, err := secrets.OpenOrCreateKeyring(filepath.Join(weirtest.TempDir(t), "sealing.key"))
	if err != nil {
		t.Fatal(err)
	}
	b.store, err = store.Open(t.Context(), store.Options{Dir: weirtest.TempDir(t), Keyring: ring, Check: weir.Check})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
	})
	root, err := os.OpenRoot(b.folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	here, err := ParseDestinations([]string{"127.0.0.0/8", "::1"})
	if err != nil {
		t.Fatal(err)
	}
	b.reach = Reach{Destinations: here, Files: root}
	b.apply("{kind: Zone, metadata: {name: az1}}\n---\n{kind: Zone, metadata: {name: az2}}\n---\n{kind: Role, metadata: {name: web}}")
	return b
}

// run begins to watch, until the test or stop ends it.
func (b *bed) run() {
	b.t.Helper()
	b.stop()
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	r := New(Options{Store: b.store, Reach: b.reach, Clock: b.clock, Log: slog.New(slog.NewTextHandler(&b.log, nil)), Server: "s1"})
	go func() { done <- r.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	})
	b.t.Cleanup(b.stop)
}

// apply writes manifests as a person.
func (b *bed) apply(text string) {
	b.t.Helper()
	if err := b.try(text); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) try(text string) error {
	list, err := weir.Decode("test.yaml", []byte(text))
	if err != nil {
		return err
	}
	var writes []weir.Write
	for _, o := range list {
		writes = append(writes, weir.Write{Put: o})
	}
	_, err = b.store.Apply(b.t.Context(), store.Request{Author: "ann", Writes: writes})
	return err
}

func (b *bed) delete(kind, name string) {
	b.t.Helper()
	if _, err := b.store.Apply(b.t.Context(), store.Request{Author: "ann", Writes: []weir.Write{{Delete: weir.Ref{Kind: kind, Name: name}}}}); err != nil {
		b.t.Fatal(err)
	}
}

// write puts a list in place.
func (b *bed) write(name, text string) {
	b.t.Helper()
	beside := filepath.Join(b.folder, ".new")
	if err := os.WriteFile(beside, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Rename(beside, filepath.Join(b.folder, name)); err != nil {
		b.t.Fatal(err)
	}
}

// list writes a list of targets at port 80.
func (b *bed) list(name string, addresses ...string) {
	b.t.Helper()
	targets := make([]string, len(addresses))
	for i, a := range addresses {
		targets[i] = a + ":80"
	}
	raw, err := json.Marshal([]map[string]any{{"targets": targets}})
	if err != nil {
		b.t.Fatal(err)
	}
	b.write(name, string(raw))
}

// servers are those in the store, as name=address, with what keeps them from traffic behind.
func (b *bed) servers() (list []string) {
	for o := range b.store.View().All("Server") {
		spec := o.Spec.(*weir.Server)
		text := o.Metadata.Name + "=" + spec.Address.String()
		if r := spec.Registered(); r != weir.RegistrationHealthy {
			text += " " + r
		}
		list = append(list, text)
	}
	return list
}

// has waits until the servers are these.
func (b *bed) has(want ...string) {
	b.t.Helper()
	weirtest.Eventually(b.t, patience, func() error {
		if got := b.servers(); !slices.Equal(got, want) {
			return fmt.Errorf("servers are %q, not %q\n%s", got, want, b.log.String())
		}
		return nil
	})
}

// says waits until the status of a source is as wanted.
func (b *bed) says(name string, want func(s weir.SourceStatus) bool) weir.SourceStatus {
	b.t.Helper()
	var k Kept
	weirtest.Eventually(b.t, patience, func() error {
		v, _, err := b.store.Platform(b.t.Context(), RecordPrefix+name)
		if err != nil {
			return err
		}
		k = Kept{}
		if err := json.Unmarshal(v.Bytes(), &k); err != nil {
			return err
		}
		if !want(k.Status) {
			return fmt.Errorf("the status is %+v, doubt %+v", k.Status, k.Status.Doubt)
		}
		return nil
	})
	return k.Status
}

// gone waits until nothing is kept of a source.
func (b *bed) gone(name string) {
	b.t.Helper()
	weirtest.Eventually(b.t, patience, func() error {
		if _, _, err := b.store.Platform(b.t.Context(), RecordPrefix+name); weir.KindOf(err) != weir.NotFound {
			return fmt.Errorf("something is kept of %s: %v", name, err)
		}
		return nil
	})
}

// confirm is a person's word that what is gone is gone.
func (b *bed) confirm(name string, number int64) {
	b.t.Helper()
	raw, err := json.Marshal(discovery.Confirmation{Number: number, By: "ann", Reason: "moved"})
	if err == nil {
		weirtest.Eventually(b.t, patience, func() error { // the one before is heeded first
			return b.store.SetPlatform(b.t.Context(), ConfirmPrefix+name, raw, 0)
		})
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// source is a source of a file, with more behind.
func fileSource(name, file, more string) string {
	return fmt.Sprintf("{kind: DiscoverySource, metadata: {name: %s}, spec: {file: {path: %s}, interval: 0.1s, role: web, server: {name: \"${address}\", zone: az1, ports: {http: \"${port:-80}\"}}%s}}", name, file, more)
}
