package agent

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/weirtest"
)

// offerList is offer for resources that no node of this version has.
func (a *agentBed) offerList(list []*ir.Resource) {
	a.t.Helper()
	a.revision++
	slices.SortFunc(list, func(x, y *ir.Resource) int { return strings.Compare(x.ID, y.ID) })
	select {
	case a.plane.states <- link.State{Epoch: "e", Revision: a.revision, Hash: link.Hash{byte(a.revision)}, Resources: list}:
	case <-time.After(longWait):
		a.t.Fatal("the agent takes no new state")
	}
	a.converged()
}

// with gives the resources of a node with a field more in some of them.
func with(list []*ir.Resource, field string, ids ...string) []*ir.Resource {
	out := slices.Clone(list)
	for i, r := range out {
		if slices.Contains(ids, r.ID) {
			out[i] = &ir.Resource{ID: r.ID, Body: json.RawMessage(strings.Replace(string(r.Body), "{", "{"+field+",", 1))}
		}
	}
	return out
}

// TestWhatANewerControlPlaneMeans: of what an agent does not understand the last good form stays, nothing else waits for it, and
// the control plane is told; nobody does as if the part that is not understood were not there.
func TestWhatANewerControlPlaneMeans(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		a := newAgentBed(t, h)
		a.site("one", 40)
		a.wish()
		a.serves("one")
		a.site("two", 41)
		a.node.Sites[0].Hostnames = []string{"other.example"} // with the field that is not known it must not count
		list := with(a.node.Resources(), `"auth":{"by":"oidc"}`, "site/one")
		list = with(list, `"gravity":9`, "self")
		list = append(list, &ir.Resource{ID: "future/x", Body: []byte(`{"a":1}`)}, &ir.Resource{ID: "pool/zzz", Body: []byte(`[]`)})
		a.offerList(list)
		a.serves("two")
		a.serves("one")
		if status, err := a.get("other.example", "/"); err != nil || status != 404 {
			t.Errorf("a site that is not understood answers %d %v", status, err)
		}
		said := func() map[string]string {
			got := map[string]string{}
			for id, d := range a.plane.report().Resources.Deviations {
				got[id] = d.Reason + ": " + d.Message
			}
			return got
		}
		want := map[string]string{
			"site/one": `TooNew: it has the field "auth", which this version does not know; upgrade the agent; its last good form stays`,
			"future/x": "RefusedAtFirst: it is of a kind that this version does not know; upgrade the agent; nothing stands in for it",
			"pool/zzz": "RefusedAtFirst: it has a value of a form that this version does not know; upgrade the agent; nothing stands in for it",
			"self":     `TooNew: it has the field "gravity", which this version does not know; upgrade the agent; the rest of it is heeded`,
		}
		if got := said(); !maps.Equal(got, want) {
			t.Errorf("told: %q, want %q", got, want)
		}
		// The object is changed back to what everybody understands.
		a.offerList(a.node.Resources())
		weirtest.Eventually(t, longWait, func() error {
			if status, err := a.get("other.example", "/"); err != nil || status != 200 {
				return fmt.Errorf("%d %v", status, err)
			}
			return nil
		})
		if got := said(); len(got) > 0 {
			t.Errorf("told: %q", got)
		}
	})
}

// TestAgentThatWasUpgradedJudgesAnew: what an older agent did not understand is no burden for the next one.
func TestAgentThatWasUpgradedJudgesAnew(t *testing.T) {
	t.Parallel()
	path := weirtest.TempDir(t) + "/quarantine.json"
	q := opened(t, path)
	strange, bad := resource("site/www", `{"auth":1}`), resource("site/api", `{}`)
	if err := q.setAside([]*ir.Resource{strange}, []error{ir.Understand(strange)}, []*ir.Resource{resource("site/www", `{"name":"www"}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := q.hold([]string{"site/api"}, []*ir.Resource{bad}, nil, "Site/api", "no"); err != nil {
		t.Fatal(err)
	}
	if got := shows(t, q, strange, resource("tuning", `{}`)); got != `site/www={"name":"www"} tuning={}` {
		t.Errorf("in place: %s", got)
	}
	if _, err := q.hold([]string{"site/api"}, []*ir.Resource{bad}, nil, "Site/api", "no"); err != nil {
		t.Fatal(err)
	}
	q = opened(t, path)
	if _, ok := q.held["site/www"]; ok || len(q.held) != 1 {
		t.Errorf("held: %+v", q.held)
	}
}
