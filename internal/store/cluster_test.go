package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
	"weir/internal/secrets"
	"weir/internal/weirtest"
)

// onCluster opens a store on a cluster, as a server does.
func onCluster(t testing.TB, e *weirtest.Etcd, change ...func(*Options)) *Store {
	t.Helper()
	return openIn(t, "", append([]func(*Options){func(o *Options) {
		o.Cluster = &Cluster{Endpoints: e.Endpoints(), TLS: e.TLS()}
	}}, change...)...)
}

// Two servers on a cluster of three: what one accepts the other has, and of two that write the same thing at
// once one is told so. Nothing that was accepted is lost while members die and come back.
func TestServersShareACluster(t *testing.T) {
	t.Parallel()
	e := weirtest.StartEtcd(t, 3)
	servers := []*Store{onCluster(t, e), onCluster(t, e)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	accepted := map[string]int64{}
	var writers sync.WaitGroup
	for i, s := range servers {
		writers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				name := fmt.Sprintf("zone-%d-%d", i, n)
				got, err := s.Apply(ctx, Request{Author: "ann", Writes: []weir.Write{{Put: &weir.Object{Kind: "Zone", Metadata: weir.Metadata{Name: name}, Spec: &weir.Zone{}}}}})
				switch {
				case err == nil:
					mu.Lock()
					accepted[name] = got.Revision
					mu.Unlock()
				case weir.KindOf(err) == weir.Unavailable: // said so: it may be there or not
				default:
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(accepted)
	}
	grows := func(by int) {
		t.Helper()
		from := count()
		weirtest.Eventually(t, weirtest.Patience, func() error {
			if n := count(); n < from+by {
				return fmt.Errorf("%d changes accepted since, %d wanted", n-from, by)
			}
			return nil
		})
	}
	grows(20)
	for _, m := range e.Members() { // each in turn is gone for a while, the leader among them
		m.Kill()
		grows(10)
		m.Start()
		m.AwaitReady()
		grows(10)
	}
	for _, m := range e.Members() { // then all of them
		m.Kill()
	}
	for _, m := range e.Members() {
		m.Start()
	}
	grows(20)
	cancel()
	writers.Wait()

	last := int64(0)
	for _, s := range servers {
		last = max(last, s.Revision())
	}
	third := onCluster(t, e)
	for i, s := range append(servers, third) {
		if err := s.WaitFor(t.Context(), last); err != nil {
			t.Fatal(err)
		}
		view := s.View()
		for name, revision := range accepted {
			o := view.Get(weir.Ref{Kind: "Zone", Name: name})
			if o == nil || o.Revision != revision {
				t.Fatalf("server %d lacks %s of revision %d: %v", i, name, revision, o)
			}
		}
	}
	if want, got := renderedSet(servers[0].View()), renderedSet(third.View()); !slices.Equal(want, got) {
		t.Errorf("a server that starts has other objects than one that followed:\n%v\n%v", want, got)
	}
}

func renderedSet(set *weir.Set) []string {
	var list []string
	for o := range set.All("Zone") {
		list = append(list, fmt.Sprintf("%s@%d", o.Ref(), o.Revision))
	}
	slices.Sort(list)
	return list
}

// A store opens while a majority of the cluster is there, and says what to look at when none is.
func TestClusterWithoutMajority(t *testing.T) {
	t.Parallel()
	e := weirtest.StartEtcd(t, 3)
	s := onCluster(t, e)
	putZone(t, s, "az1")
	e.Members()[0].Kill()
	onCluster(t, e)
	e.Members()[1].Kill()
	if err := s.Healthy(t.Context()); weir.KindOf(err) != weir.Unavailable {
		t.Errorf("healthy without a majority: %v", err)
	}
	if s.View().Get(weir.Ref{Kind: "Zone", Name: "az1"}) == nil {
		t.Error("what is known can't be read any more")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := Open(ctx, Options{Cluster: &Cluster{Endpoints: e.Endpoints(), TLS: e.TLS()}, Keyring: testKeyring(t)})
	if err == nil || !strings.Contains(err.Error(), "majority") {
		t.Errorf("open without a majority: %v", err)
	}
	e.Members()[1].Start()
	e.Members()[1].AwaitReady()
	putZone(t, s, "az2")
}

func putZone(t testing.TB, s *Store, zone string) {
	t.Helper()
	weirtest.Eventually(t, weirtest.Patience, func() error {
		_, err := s.Apply(t.Context(), Request{Author: "ann", Writes: []weir.Write{{Put: &weir.Object{Kind: "Zone", Metadata: weir.Metadata{Name: zone}, Spec: &weir.Zone{}}}}})
		return err
	})
}

// etcd's own users hold: the right password opens, a wrong one is refused at once and not repeated.
func TestClusterWithUsers(t *testing.T) {
	t.Parallel()
	e := weirtest.StartEtcd(t, 1)
	admin, err := clientv3.New(clientv3.Config{Endpoints: e.Endpoints(), TLS: e.TLS()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	const password = "correct horse"
	steps := []func(context.Context) error{
		func(ctx context.Context) error { _, err := admin.UserAdd(ctx, "root", "unused"); return err },
		func(ctx context.Context) error { _, err := admin.UserGrantRole(ctx, "root", "root"); return err },
		func(ctx context.Context) error { _, err := admin.UserAdd(ctx, "weir-server", password); return err },
		func(ctx context.Context) error { _, err := admin.RoleAdd(ctx, "weir"); return err },
		func(ctx context.Context) error {
			_, err := admin.RoleGrantPermission(ctx, "weir", root, clientv3.GetPrefixRangeEnd(root), clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		},
		func(ctx context.Context) error { _, err := admin.UserGrantRole(ctx, "weir-server", "weir"); return err },
		func(ctx context.Context) error { _, err := admin.AuthEnable(ctx); return err },
	}
	for i, step := range steps {
		if err := step(t.Context()); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
	user := func(password string) func(*Options) {
		return func(o *Options) { o.Cluster.Username, o.Cluster.Password = "weir-server", password }
	}
	s := onCluster(t, e, user(password))
	putZone(t, s, "az1")
	if err := s.maintain(t.Context(), time.Now()); err != nil {
		t.Errorf("a user with rights on Weir's keys only can't tidy up: %v", err)
	}
	_, err = tryOpen(t, "", func(o *Options) { o.Cluster = &Cluster{Endpoints: e.Endpoints(), TLS: e.TLS()} }, user("wrong"))
	if err == nil || strings.Contains(err.Error(), "did not answer") {
		t.Errorf("a wrong password: %v", err)
	}
	if err != nil && strings.Contains(err.Error(), "wrong") && strings.Contains(err.Error(), password) {
		t.Errorf("the error tells the password: %v", err)
	}
}

// Values of the platform are sealed, change one after the other, and others hear of it.
func TestPlatformValues(t *testing.T) {
	t.Parallel()
	e := weirtest.StartEtcd(t, 1)
	a, b := onCluster(t, e), onCluster(t, e)
	ctx := t.Context()
	if _, _, err := a.Platform(ctx, "ca"); weir.KindOf(err) != weir.NotFound {
		t.Errorf("before there is one: %v", err)
	}
	heard := make(chan string, 10)
	following, stop := context.WithCancel(ctx)
	var followers sync.WaitGroup
	followers.Go(func() {
		b.FollowPlatform(following, "ca", func(value secrets.Secret, generation int64) {
			heard <- fmt.Sprintf("%s %d", value.Text(), generation)
		})
	})
	if err := a.SetPlatform(ctx, "ca", []byte("canary one"), 0); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got != "canary one 1" {
		t.Errorf("heard %q", got)
	}
	if err := b.SetPlatform(ctx, "ca", []byte("other"), 0); weir.KindOf(err) != weir.Stale {
		t.Errorf("both were first: %v", err)
	}
	if err := b.SetPlatform(ctx, "ca", []byte("canary two"), 1); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got != "canary two 2" {
		t.Errorf("heard %q", got)
	}
	stop()
	followers.Wait()
	raw, err := a.client.Get(ctx, root, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range raw.Kvs {
		if strings.Contains(string(kv.Value), "canary") {
			t.Errorf("%s shows the value", kv.Key)
		}
	}
}

// Work that one server does is one server's at a time, and another's soon after its end, its stop or its loss of
// etcd.
func TestLead(t *testing.T) {
	t.Parallel()
	e := weirtest.StartEtcd(t, 1)
	turns := make(chan string, 10)
	begin := func(name string, s *Store, end chan error) {
		go s.Lead(t.Context(), "orders", func(ctx context.Context) error {
			turns <- name
			select {
			case err := <-end:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}
	a, b, c := onCluster(t, e), onCluster(t, e), onCluster(t, e)
	endA, endB, endC := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	begin("a", a, endA)
	if got := <-turns; got != "a" {
		t.Fatal(got)
	}
	if who, err := b.Leader(t.Context(), "orders"); err != nil || who != a.ID() {
		t.Errorf("%q leads, %v", who, err)
	}
	begin("b", b, endB)
	weirtest.Eventually(t, weirtest.Patience, func() error { return waiting(a, 2) })
	begin("c", c, endC)
	weirtest.Eventually(t, weirtest.Patience, func() error { return waiting(a, 3) })
	if len(turns) > 0 {
		t.Fatalf("%s began beside a", <-turns)
	}
	endA <- errors.New("an error gives the turn away")
	if got := <-turns; got != "b" {
		t.Errorf("%s, not b, had its turn", got)
	}
	// b dies: its lease is not renewed any more.
	b.cancel()
	if got := <-turns; got != "c" {
		t.Errorf("%s, not c, had its turn", got)
	}
	endC <- nil
	if got := <-turns; got != "a" {
		t.Errorf("%s, not a, had its turn", got)
	}
}

func waiting(s *Store, n int64) error {
	got, err := s.client.Get(context.Background(), prefixLead, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err == nil && got.Count != n {
		err = fmt.Errorf("%d wait, %d should", got.Count, n)
	}
	return err
}

// The turn is lost when etcd is, and the work is told before another server can begin.
func TestLeadEndsWithEtcd(t *testing.T) {
	t.Parallel()
	e := weirtest.StartEtcd(t, 1)
	s := onCluster(t, e)
	turns, lost := make(chan struct{}, 10), make(chan struct{}, 10)
	go s.Lead(t.Context(), "orders", func(ctx context.Context) error {
		turns <- struct{}{}
		<-ctx.Done()
		lost <- struct{}{}
		return ctx.Err()
	})
	<-turns
	e.Members()[0].Kill()
	<-lost
	e.Members()[0].Start()
	<-turns
}

// Servers know each other while they run.
func TestMembers(t *testing.T) {
	t.Parallel()
	e := weirtest.StartEtcd(t, 1)
	a, b := onCluster(t, e), onCluster(t, e)
	seen := make(chan []string, 100)
	go a.FollowMembers(t.Context(), func(list []Member) {
		var names []string
		for _, m := range list {
			names = append(names, m.Name+" "+m.URL)
		}
		seen <- names
	})
	until := func(want ...string) {
		t.Helper()
		for got := range seen {
			if slices.Equal(got, want) {
				return
			}
		}
	}
	go a.Announce(t.Context(), func() Member { return Member{Name: "one", URL: "https://one"} }, nil)
	until("one https://one")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go b.Announce(ctx, func() Member { return Member{Name: "two", URL: "https://two"} }, nil)
	until("one https://one", "two https://two")
	stop()
	until("one https://one")
}
