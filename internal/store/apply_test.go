package store

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"weir"
)

// beside opens another store on the same etcd, as a second server would.
func beside(t testing.TB, s *Store, change ...func(*Options)) *Store {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: s.client.Endpoints(), Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	opts := Options{Dir: s.opts.Dir, Keyring: s.opts.Keyring}
	for _, f := range change {
		f(&opts)
	}
	other, err := open(t.Context(), client, nil, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = other.Close()
		_ = client.Close()
	})
	return other
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	checked := func(o *Options) {
		o.Check = func(_, after *weir.Set, refs []weir.Ref) (list []weir.Problem) {
			for _, r := range refs {
				if r.Name == "unwanted" && after.Get(r) != nil {
					list = append(list, weir.Problem{Object: r.String(), Path: "metadata.name", Message: "is not wanted"})
				}
			}
			return list
		}
	}
	s := newStore(t, checked)
	apply(t, s, puts(zone("az1", 1))...)
	apply(t, s, puts(zone("az1", 2))...)
	az1, other := weir.Ref{Kind: "Zone", Name: "az1"}, weir.Ref{Kind: "Zone", Name: "other"}
	deny := func(_, after *weir.Object) error {
		if after != nil && strings.HasPrefix(after.Metadata.Name, "az") {
			return weir.Errorf(weir.Forbidden, "%s: zones are the admin's", after.Ref())
		}
		return nil
	}
	denyBefore := func(before, _ *weir.Object) error {
		if before != nil {
			return errors.New("you had no right on it")
		}
		return nil
	}
	for name, c := range map[string]struct {
		writes    []weir.Write
		authorize func(before, after *weir.Object) error
		kind      weir.ErrorKind
		texts     []string
	}{
		"stale":                    {writes: []weir.Write{{Put: zone("az1", 3), IfMatch: 1}}, kind: weir.Stale, texts: []string{"Zone/az1 is at revision 2, not 1"}},
		"stale delete":             {writes: []weir.Write{{Delete: az1, IfMatch: 1}}, kind: weir.Stale},
		"gone":                     {writes: []weir.Write{{Delete: other, IfMatch: 1}}, kind: weir.Stale, texts: []string{"no longer exists"}},
		"exists":                   {writes: []weir.Write{{Put: zone("az1", 3), IfMatch: weir.MustNotExist}}, kind: weir.Stale, texts: []string{"exists already"}},
		"twice":                    {writes: []weir.Write{{Put: zone("az1", 3)}, {Delete: az1}}, kind: weir.Invalid, texts: []string{"twice"}},
		"broken rule":              {writes: puts(zone("az1", 3), zone("bad", -5), zone("Worse", 1)), kind: weir.Invalid, texts: []string{"Zone/bad: spec.capacity", "Zone/Worse: metadata.name"}},
		"check":                    {writes: puts(zone("unwanted", 3)), kind: weir.Invalid, texts: []string{"is not wanted"}},
		"read only":                {writes: puts(&weir.Object{Kind: "Change", Metadata: weir.Metadata{Name: "7"}, Spec: &weir.Change{}}), kind: weir.Invalid},
		"unknown kind":             {writes: puts(&weir.Object{Kind: "Wish", Metadata: weir.Metadata{Name: "a"}, Spec: &weir.Zone{}}), kind: weir.Invalid, texts: []string{"Wish"}},
		"another kind's spec":      {writes: puts(&weir.Object{Kind: "Zone", Metadata: weir.Metadata{Name: "a"}, Spec: &weir.Map{}}), kind: weir.Invalid},
		"no spec":                  {writes: puts(&weir.Object{Kind: "Zone", Metadata: weir.Metadata{Name: "a"}}), kind: weir.Invalid},
		"not allowed":              {writes: puts(zone("az9", 3)), authorize: deny, kind: weir.Forbidden},
		"not allowed twice":        {writes: puts(zone("az8", 3), zone("az9", 3)), authorize: deny, kind: weir.Forbidden, texts: []string{"\n  Zone/az8: zones", "\n  Zone/az9: zones"}},
		"not allowed, no change":   {writes: puts(zone("az1", 2)), authorize: deny, kind: weir.Forbidden},
		"not allowed comes first":  {writes: puts(zone("az9", -3)), authorize: deny, kind: weir.Forbidden},
		"not allowed before":       {writes: puts(zone("az1", 3)), authorize: denyBefore, kind: ""},
		"not allowed to delete it": {writes: []weir.Write{{Delete: az1}}, authorize: denyBefore, kind: ""},
	} {
		for _, dry := range []bool{false, true} {
			before := contents(t, s)
			_, err := s.Apply(t.Context(), Request{Author: "tester", Writes: c.writes, Authorize: c.authorize, DryRun: dry})
			if err == nil {
				t.Errorf("%s (dry run %t): accepted", name, dry)
				continue
			}
			t.Run(name, func(t *testing.T) { wantKind(t, err, c.kind, c.texts...) })
			if contents(t, s) != before {
				t.Errorf("%s: a refusal left a trace", name)
			}
		}
	}
	if _, err := s.Apply(t.Context(), Request{Writes: puts(zone("az3", 1))}); weir.KindOf(err) != weir.Invalid {
		t.Errorf("without an author: %v", err)
	}
}

func TestADryRunLeavesNoTrace(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	apply(t, s, puts(zone("az1", 1), secret("known", "the old value"))...)
	before := contents(t, s)
	many := puts(zone("az1", 2), zone("az2", 2), secret("known", "the new value"), secret("more", "another value"))
	for i := range 500 {
		many = append(many, weir.Write{Put: zone(fmt.Sprintf("z%d", i), 5)})
	}
	r, err := s.Apply(t.Context(), Request{Author: "tester", Writes: many, DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	if r.Revision != 1 || len(r.Change.Objects) != 504 || r.After.Len("Zone") != 502 || r.Before.Len("Zone") != 1 {
		t.Errorf("dry run: revision %d, %d objects", r.Revision, len(r.Change.Objects))
	}
	if strings.Contains(fmt.Sprintf("%+v", r.After.Get(weir.Ref{Kind: "Secret", Name: "more"}).Spec), "another") {
		t.Error("the dry run's result holds a secret")
	}
	if after := contents(t, s); after != before {
		t.Error("a dry run changed the database")
	}
	same, err := s.Apply(t.Context(), Request{Author: "tester", Writes: puts(secret("known", "the old value")), DryRun: true})
	if err != nil || len(same.Change.Objects) != 0 {
		t.Errorf("a dry run of the same secret: %v, %v", same, err)
	}
	if s.View().Len("Zone") != 1 {
		t.Error("a dry run shows in View")
	}
}

func TestWhatIsGivenAndTakenIsNotShared(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	z := zone("az1", 1)
	z.Metadata.Labels = map[string]string{"a": "1"}
	r := apply(t, s, puts(z)...)
	z.Metadata.Labels["a"] = "2"
	z.Spec.(*weir.Zone).Capacity = 9
	r.After.Delete(z.Ref())
	view := s.View()
	view.Delete(z.Ref())
	if o := s.View().Get(z.Ref()); o == nil || o.Metadata.Labels["a"] != "1" || o.Spec.(*weir.Zone).Capacity != 1 {
		t.Errorf("the store was changed from outside: %+v", o)
	}
}

// Writers on two servers of one etcd count the same counters up: nothing may be lost, and every revision exists
// once.
func TestManyWritersOnTwoServers(t *testing.T) {
	t.Parallel()
	const writers, rounds, counters = 16, 12, 5
	a := newStore(t)
	stores := []*Store{a, beside(t, a)}
	var init []weir.Write
	for i := range counters {
		init = append(init, weir.Write{Put: zone(fmt.Sprintf("c%d", i), 1)})
	}
	apply(t, a, init...)
	var group sync.WaitGroup
	var stale atomic.Int64
	for w := range writers {
		group.Go(func() {
			s := stores[w%2]
			for i := range rounds {
				ref := weir.Ref{Kind: "Zone", Name: fmt.Sprintf("c%d", (w+i)%counters)}
				for {
					now := s.View().Get(ref)
					if now == nil {
						if err := s.WaitFor(t.Context(), 1); err != nil {
							t.Error(err)
							return
						}
						continue
					}
					next := zone(ref.Name, now.Spec.(*weir.Zone).Capacity+1)
					r, err := s.Apply(t.Context(), Request{Author: fmt.Sprint("w", w), Writes: []weir.Write{{Put: next, IfMatch: now.Revision}}})
					if weir.KindOf(err) == weir.Stale {
						stale.Add(1)
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					if s.Revision() < r.Revision {
						t.Errorf("View is at %d after Apply gave %d", s.Revision(), r.Revision)
					}
					break
				}
			}
		})
	}
	group.Wait()
	last := int64(1 + writers*rounds)
	for i, s := range stores {
		if err := s.WaitFor(t.Context(), last); err != nil {
			t.Fatal(err)
		}
		sum := 0
		for o := range s.View().All("Zone") {
			sum += o.Spec.(*weir.Zone).Capacity
		}
		if sum != counters+writers*rounds || s.Revision() != last {
			t.Errorf("store %d at revision %d: the counters' sum is %d, want %d (%d stale tries)", i, s.Revision(), sum, counters+writers*rounds, stale.Load())
		}
	}
	compareWithDisk(t, a)
}

// compareWithDisk holds memory against what a new store would read, and that against all changes from the first.
func compareWithDisk(t testing.TB, s *Store) {
	t.Helper()
	want := objectsOf(t, s.View())
	waitMaterialized(t, s)
	if got := objectsOf(t, beside(t, s).View()); got != want {
		t.Errorf("a new store reads\n%.2000s\nwant\n%.2000s", got, want)
	}
	set := weir.NewSet()
	err := s.eachChange(t.Context(), 1, s.Revision(), 0, func(h header, entries []entry) error {
		for _, e := range entries {
			before, err := canonical(set.Get(e.ref))
			if err != nil || string(before) != string(e.beforeJSON) {
				t.Errorf("change %d has a wrong before of %s", h.Revision, e.ref)
			}
		}
		put(set, h.Revision, entries)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := objectsOf(t, set); got != want || set.Revision != s.Revision() {
		t.Errorf("all changes together are at %d\n%.2000s\nwant %d\n%.2000s", set.Revision, got, s.Revision(), want)
	}
}

// A join token is spent in the change that makes the load balancer: of many who try, one has it.
func TestATokenIsSpentOnce(t *testing.T) {
	t.Parallel()
	a := newStore(t)
	stores := []*Store{a, beside(t, a)}
	token := &weir.Object{Kind: "Token", Metadata: weir.Metadata{Name: "join-1"}, Spec: &weir.Token{Subject: "lb", Join: &weir.JoinTerms{Group: "edge", Zone: "az1"}}}
	made := apply(t, a, puts(token)...)
	if err := stores[1].WaitFor(t.Context(), made.Revision); err != nil {
		t.Fatal(err)
	}
	var won atomic.Int64
	var group sync.WaitGroup
	for i := range 24 {
		group.Go(func() {
			lb := &weir.Object{Kind: "LoadBalancer", Metadata: weir.Metadata{Name: fmt.Sprintf("lb-%d", i)}, Spec: &weir.LoadBalancer{Group: "edge", Zone: "az1"}}
			_, err := stores[i%2].Apply(t.Context(), Request{Author: "enrolment", Writes: []weir.Write{
				{Delete: token.Ref(), IfMatch: made.Revision}, {Put: lb, IfMatch: weir.MustNotExist},
			}})
			switch {
			case err == nil:
				won.Add(1)
			case weir.KindOf(err) != weir.Stale:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 || a.View().Len("LoadBalancer") > 1 {
		t.Errorf("%d enrolled with one token", won.Load())
	}
}

func TestRequestsThatWaitTogetherAreChangesOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	const n = 200
	var group sync.WaitGroup
	revisions := make([]int64, n)
	for i := range n {
		group.Go(func() {
			// Half of them write one object, which a transaction can hold only once.
			name := fmt.Sprintf("z%d", i)
			if i%2 == 0 {
				name = "same"
			}
			r, err := s.Apply(t.Context(), Request{Author: fmt.Sprint(i), Reason: "because", Writes: puts(zone(name, 1000+i))})
			if err != nil {
				t.Error(err)
				return
			}
			revisions[i] = r.Revision
			if got := r.After.Get(weir.Ref{Kind: "Zone", Name: name}).Spec.(*weir.Zone).Capacity; got != 1000+i {
				t.Errorf("request %d sees %d after itself", i, got)
			}
		})
	}
	group.Wait()
	seen := map[int64]bool{}
	for i, r := range revisions {
		if seen[r] || r < 1 || r > n {
			t.Errorf("request %d has revision %d", i, r)
		}
		seen[r] = true
		ev, err := s.Change(t.Context(), r)
		if err != nil || ev.Change.Author != fmt.Sprint(i) || ev.Revision != r || len(ev.Change.Objects) != 1 || ev.Change.Objects[0].After.Revision != r {
			t.Errorf("change %d: %+v, %v", r, ev, err)
		}
	}
	compareWithDisk(t, s)
}
