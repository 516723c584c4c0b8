package api

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"testing"

	"weir"
	"weir/internal/store"
	"weir/internal/weirtest"
)

var canaries = regexp.MustCompile(`canary:([A-Za-z]+)/([A-Za-z0-9.-]+);`)

func canary(r weir.Ref) string { return "canary:" + r.String() + ";" }

// TestViewsTellNothingOfWhatOneMayNotSee fills a world with random objects, each with a word of its own in its labels, its
// reasons and all that is said of it, and reads every view as people with random grants: the words in an answer are of
// objects that they may read.
func TestViewsTellNothingOfWhatOneMayNotSee(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rng := rand.New(rand.NewPCG(7, 7))
	set := weirtest.RandomObjects(rng.Uint64(), weirtest.Options{Zoned: true, Egress: true, Logic: true})
	w.status.stage = &stage{statuses: map[string]*weir.Status{}, seen: map[string][]SeenServer{}}
	group := GroupStatus{Name: "g"}
	var writes []weir.Write
	for o := range set.Every() {
		if o.Kind == "Certificate" || w.store.View().Get(o.Ref()) != nil {
			continue // keys are another test's
		}
		o = o.Clone()
		o.Revision, o.Metadata.Labels = 0, map[string]string{"word": "x-" + o.Metadata.Name}
		switch spec := o.Spec.(type) {
		case *weir.Override:
			spec.Reason = canary(o.Ref())
		case *weir.ZoneShift:
			spec.Reason = canary(o.Ref())
		case *weir.LoadBalancer:
			group.LoadBalancers = append(group.LoadBalancers, LoadBalancerStatus{Name: o.Metadata.Name, State: weir.Active, Run: "converged", Ready: true, Reachable: true, LastSeen: w.clock(), Quarantined: 1})
		}
		writes = append(writes, weir.Write{Put: o})
	}
	// What refers to something that was left out is left out, too.
	for {
		_, err := w.store.Apply(t.Context(), store.Request{Author: "seed", Writes: writes})
		if err == nil {
			break
		}
		e, ok := err.(*weir.Error)
		if !ok || len(e.Problems) == 0 {
			t.Fatal(err)
		}
		bad := map[string]bool{}
		for _, p := range e.Problems {
			bad[p.Object] = true
		}
		if writes = slices.DeleteFunc(writes, func(wr weir.Write) bool { return bad[wr.Put.Ref().String()] }); len(writes) == 0 {
			t.Fatal(err)
		}
	}
	view := w.store.View()
	for o := range view.Every() {
		text := canary(o.Ref())
		w.status.stage.statuses[o.Ref().String()] = &weir.Status{Conditions: []weir.Condition{
			{Type: weir.Accepted, Status: "False", Message: text}, {Type: weir.Programmed, Status: "True", Ready: 1, Of: 1}, {Type: weir.Serving, Status: "True", Ready: 1, Of: 2},
		}}
		switch o.Kind {
		case "Site":
			group.NotServing = append(group.NotServing, Outage{Object: o.Ref().String(), LoadBalancers: []string{"x"}, Message: text})
		case "Pool":
			for s := range view.All("Server") {
				if o.Spec.(*weir.Pool).Selects(o.Metadata.Role, s) {
					w.status.stage.seen[o.Metadata.Name] = append(w.status.stage.seen[o.Metadata.Name], SeenServer{Server: s.Metadata.Name, Of: 1, State: "down", Check: canary(s.Ref()), LoadBalancer: "x"})
				}
			}
		}
	}
	w.status.stage.fleet.Groups = []GroupStatus{group}
	var roles []string
	for o := range view.All("Role") {
		roles = append(roles, o.Metadata.Name)
	}
	said := 0
	for range 6 {
		who := Caller{Subject: "viewer", Grants: []weir.Grant{{Subject: "viewer", Role: "web", Right: weir.Viewer}}}
		var grants []weir.Write
		for i := range rng.IntN(3) {
			g := weir.Grant{Subject: "viewer", Role: roles[rng.IntN(len(roles))], Right: weir.Viewer}
			who.Grants = append(who.Grants, g)
			grants = append(grants, weir.Write{Put: &weir.Object{Kind: "Grant", Metadata: weir.Metadata{Name: fmt.Sprintf("more-%d", i)}, Spec: &g}})
		}
		if len(grants) > 0 {
			if _, err := w.store.Apply(t.Context(), store.Request{Author: "seed", Writes: grants}); err != nil {
				t.Fatal(err)
			}
		}
		for _, path := range everyView(view) {
			a := w.do("viewer", "GET", path, "")
			if a.StatusCode == 403 {
				continue
			}
			w.want(a, 200)
			for _, m := range canaries.FindAllStringSubmatch(string(a.body), -1) {
				o := view.Get(weir.Ref{Kind: m[1], Name: m[2]})
				if said++; o == nil || Allowed(who, Read, o, o) != nil {
					t.Errorf("%v is told of %s/%s by %s", who.Grants, m[1], m[2], path)
				}
			}
			for o := range view.Every() {
				if Allowed(who, Read, o, o) != nil && containsWord(a.body, "x-"+o.Metadata.Name) {
					t.Errorf("%v is shown the label of %s by %s", who.Grants, o.Ref(), path)
				}
			}
		}
		for i := range grants {
			if _, err := w.store.Apply(t.Context(), store.Request{Author: "seed", Writes: []weir.Write{{Delete: grants[i].Put.Ref()}}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if said < 100 {
		t.Errorf("only %d words were said: the test looks at nothing", said)
	}
}

// everyView are the addresses of views, of many objects each.
func everyView(view *weir.Set) []string {
	list := []string{"/api/v1/overview", "/api/v1/graph?limit=3000", "/api/v1/graph?limit=10", "/api/v1/matrix", "/api/v1/search?limit=200&q=a", "/api/v1/search?limit=200&q=x-"}
	for _, k := range weir.Kinds() {
		if k.ReadOnly {
			continue
		}
		list = append(list, "/api/v1/rows/"+k.Plural+"?limit=500")
		n := 0
		for o := range view.All(k.Name) {
			if n++; n > 3 {
				break
			}
			list = append(list, "/api/v1/"+k.Plural+"/"+o.Metadata.Name+"/referrers")
			if slices.Contains(flowKinds, k.Name) {
				list = append(list, "/api/v1/graph?limit=3000&focus="+url.QueryEscape(o.Ref().String()))
			}
		}
	}
	return list
}

// containsWord says whether a label stands in an answer, and not only as the beginning of another.
func containsWord(body []byte, word string) bool {
	return regexp.MustCompile(regexp.QuoteMeta(word) + `[",]`).Match(body)
}
