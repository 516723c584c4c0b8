package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"weir"
	"weir/internal/store"
)

const twoPools = poolB + "---\nkind: Pool\nmetadata: {name: c, role: web}\nspec: {members: [{name: a, address: 10.0.0.10, port: 80}]}\n"

func TestApplyIsOneChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := read[applyText](t, w.do("owner", "POST", "/api/v1/apply?reason=two+pools&plan=true", twoPools))
	if a.Revision != 2 || len(a.Change.Objects) != 2 || len(a.Objects) != 2 || a.DryRun {
		t.Errorf("%+v", a)
	}
	if a.Plan == nil || len(a.Plan.LoadBalancers) != 1 || strings.Join(a.Plan.LoadBalancers[0].Sentences, ", ") != "add Pool/b, add Pool/c" {
		t.Errorf("plan: %+v", a.Plan)
	}
	if len(a.Plan.Problems) != 2 {
		t.Errorf("problems of what others own are shown, or own ones not: %+v", a.Plan.Problems)
	}
	again := read[applyText](t, w.do("owner", "POST", "/api/v1/apply?plan=true", twoPools))
	if again.Revision != 2 || len(again.Change.Objects) != 0 || len(again.Plan.LoadBalancers) != 0 {
		t.Errorf("applied twice: %+v", again)
	}
	// One bad object refuses all; a forbidden one too.
	w.want(w.do("owner", "POST", "/api/v1/apply", strings.Replace(twoPools, "port: 80", "port: 0", 1)), 400)
	w.want(w.do("owner", "POST", "/api/v1/apply", strings.ReplaceAll(twoPools, "port: 80", "port: 81")+"---\nkind: Zone\nmetadata: {name: z}\n"), 403)
	if w.store.Revision() != 2 {
		t.Error("a part was written")
	}
	// Deletions join in.
	b := read[applyText](t, w.do("owner", "POST", "/api/v1/apply?delete=Pool/b&delete=pools/c", manifest("AccessList", "l", roleWeb+"spec: {networks: [192.0.2.0/24]}")))
	if len(b.Change.Objects) != 3 || w.store.View().Get(weir.Ref{Kind: "Pool", Name: "b"}) != nil {
		t.Errorf("%+v", b)
	}
	only := read[applyText](t, w.do("owner", "POST", "/api/v1/apply?delete=AccessList/l&brief=true", ""))
	if len(only.Change.Objects) != 1 || len(only.Objects) != 0 {
		t.Errorf("%+v", only)
	}
	// Or they are the body, when there are more than an address holds.
	many := "AccessList/l\n"
	for i := range 10_000 {
		many += fmt.Sprintf("pools/none-%d\n", i)
	}
	names := []string{"Content-Type", DeletionsType}
	w.want(w.do("owner", "POST", "/api/v1/apply", manifest("AccessList", "l", roleWeb+"spec: {networks: [192.0.2.0/24]}")), 200)
	all := read[applyText](t, w.do("owner", "POST", "/api/v1/apply?brief=true", many, names...))
	if len(all.Change.Objects) != 1 || w.store.View().Get(weir.Ref{Kind: "AccessList", Name: "l"}) != nil {
		t.Errorf("%+v", all)
	}
	for _, bad := range []string{"x", "delete=Pool/a", "Pool/", "Pool/x;y", twoPools, " \n", ""} {
		w.want(w.do("owner", "POST", "/api/v1/apply", bad, names...), 400)
	}
	w.want(w.do("owner", "POST", "/api/v1/apply", "Zone/az1", names...), 403)
	for _, bad := range []string{"delete=x", "delete=zonk/x", "delete=Pool/x;y", "delete=Pool/"} {
		w.want(w.do("owner", "POST", "/api/v1/apply?"+bad, ""), 400)
	}
	w.want(w.do("owner", "POST", "/api/v1/apply?delete=Zone/az1", ""), 403)
	w.want(w.do("owner", "POST", "/api/v1/apply?reason=a%0ab", twoPools), 400)
}

// everything is all that a store keeps and tells.
func (w *world) everything() string {
	w.t.Helper()
	var b strings.Builder
	view := w.store.View()
	fmt.Fprintln(&b, view.Revision)
	for o := range view.Every() {
		raw, err := json.Marshal(o)
		if err != nil {
			w.t.Fatal(err)
		}
		b.Write(raw)
	}
	b.Write(w.want(w.do("admin", "GET", "/api/v1/changes?limit=1000", ""), 200).body)
	return b.String()
}

func TestApplyOfWhatMustBeNew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	two := manifest("Pool", "fresh", roleWeb+"spec: {members: [{name: a, address: 10.0.0.1, port: 80}]}\n---\n") + kindTable["Pool"].body
	before := w.everything()
	for _, path := range []string{"plan", "apply"} {
		p := w.want(w.do("owner", "POST", "/api/v1/"+path+"?new=Pool/fresh&new=pools/web", two), 412).problem(t)
		if !strings.Contains(p.Detail, "Pool/web exists already, since revision ") {
			t.Errorf("%s: %s", path, p.Detail)
		}
		for _, bad := range []string{"Pool/none", "zonk/fresh", "fresh", "Pool/", ""} {
			w.want(w.do("owner", "POST", "/api/v1/"+path+"?new="+bad, two), 400)
		}
	}
	w.want(w.do("owner", "POST", "/api/v1/apply?delete=Pool/web&new=Pool/web", ""), 400)
	if w.everything() != before {
		t.Error("what was refused left traces")
	}
	w.want(w.do("owner", "POST", "/api/v1/apply?new=Pool/fresh", two), 200)
	w.want(w.do("owner", "POST", "/api/v1/apply?new=Pool/fresh", two), 412)
	w.want(w.do("owner", "POST", "/api/v1/apply", two), 200)
}

func TestDryRunsLeaveNoTrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.do("owner", "POST", "/api/v1/apply", twoPools), 200)
	before := w.everything()
	changed := strings.ReplaceAll(twoPools, "port: 80", "port: 8080")
	p := read[applyText](t, w.do("owner", "POST", "/api/v1/plan?delete=ErrorPage/none", changed))
	if !p.DryRun || len(p.Change.Objects) != 2 || strings.Join(p.Plan.LoadBalancers[0].Sentences, ", ") != "change Pool/b, change Pool/c" {
		t.Errorf("plan: %+v", p)
	}
	a := read[applyText](t, w.do("owner", "POST", "/api/v1/apply?dryRun=true&plan=1", changed))
	if !a.DryRun || len(a.Change.Objects) != 2 || a.Plan == nil {
		t.Errorf("dry apply: %+v", a)
	}
	put := w.want(w.do("owner", "PUT", "/api/v1/pools/d?dryRun=true", strings.Replace(poolB, "name: b", "name: d", 1)), 201)
	if put.Header.Get("ETag") != "" || put.Header.Get("Weir-Revision") != "" {
		t.Error("a dry run gives an ETag or a revision")
	}
	w.want(w.do("owner", "DELETE", "/api/v1/pools/b?dryRun=true", ""), 200)
	u := read[applyText](t, w.do("owner", "POST", "/api/v1/changes/2/undo?dryRun=true&plan=true", ""))
	if len(u.Change.Objects) != 2 || strings.Join(u.Plan.LoadBalancers[0].Sentences, ", ") != "delete Pool/b, delete Pool/c" {
		t.Errorf("dry undo: %+v", u)
	}
	w.want(w.do("owner", "PUT", "/api/v1/secrets/s?dryRun=true", manifest("Secret", "s", roleWeb+"spec: {data: canary-secret-x}")), 201)
	if after := w.everything(); after != before {
		t.Errorf("before %.2000s\nafter %.2000s", before, after)
	}
}

func TestUndo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.do("owner", "POST", "/api/v1/apply", twoPools), 200)                               // 2
	w.want(w.do("owner", "PUT", "/api/v1/pools/b", strings.Replace(poolB, "80", "81", 1)), 200) // 3
	w.want(w.do("owner", "POST", "/api/v1/changes/2/undo", ""), 409).problem(t)                 // b was changed since
	a := read[applyText](t, w.do("owner", "POST", "/api/v1/changes/3/undo?reason=oops", ""))    // 4
	rec := read[changeText](t, w.do("owner", "GET", "/api/v1/changes/4", ""))
	if rec.Credential != "token t-owner" {
		t.Errorf("made with %q", rec.Credential)
	}
	if a.Revision != 4 || rec.Undoes != 3 || rec.Reason != "oops" || rec.Author != "owner" {
		t.Errorf("%+v %+v", a, rec)
	}
	w.want(w.do("owner", "POST", "/api/v1/changes/2/undo", ""), 200)
	if w.store.View().Get(weir.Ref{Kind: "Pool", Name: "c"}) != nil {
		t.Error("still there")
	}
	w.want(w.do("owner", "POST", "/api/v1/changes/99/undo", ""), 404)
	w.want(w.do("owner", "GET", "/api/v1/changes/x", ""), 404)
	w.want(w.do("owner", "POST", "/api/v1/changes/1/undo", ""), 403)
	// A deleted token does not come back, a deleted grant only by an admin.
	w.want(w.do("admin", "POST", "/api/v1/apply?delete=Token/t-other", ""), 200)
	last := w.store.Revision()
	w.want(w.do("admin", "POST", fmt.Sprintf("/api/v1/changes/%d/undo", last), ""), 409)
	w.want(w.do("other", "GET", "/api/v1/whoami", ""), 401)
	w.want(w.do("admin", "DELETE", "/api/v1/grants/g-owner", ""), 200)
	last = w.store.Revision()
	w.want(w.do("owner", "POST", fmt.Sprintf("/api/v1/changes/%d/undo", last), ""), 403)
	w.want(w.do("admin", "POST", fmt.Sprintf("/api/v1/changes/%d/undo", last), ""), 200)
	w.want(w.do("owner", "GET", "/api/v1/pools/web", ""), 200)
}

func TestChangesShowOnlyWhatOneMaySee(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.do("owner", "PUT", "/api/v1/pools/b", poolB), 201)                                                                                // 2
	w.want(w.do("other", "PUT", "/api/v1/pools/m", strings.NewReplacer("role: web", "role: media", "name: b", "name: m").Replace(poolB)), 201) // 3
	w.want(w.do("admin", "POST", "/api/v1/apply?delete=Pool/m&delete=Pool/b", ""), 200)                                                        // 4
	list := func(who, query string) (revisions string) {
		var l struct{ Items []changeText }
		a := w.want(w.do(who, "GET", "/api/v1/changes"+query, ""), 200)
		if err := json.Unmarshal(a.body, &l); err != nil {
			t.Fatal(err)
		}
		for _, c := range l.Items {
			revisions += fmt.Sprintf(" %d:%d", c.Revision, len(c.Objects))
			if c.Revision == 4 && who != "admin" && c.Omitted != 1 {
				t.Errorf("omitted: %+v", c)
			}
		}
		return strings.TrimSpace(revisions)
	}
	for who, want := range map[string]string{"viewer": "4:1 2:1 1:13", "other": "4:1 3:1 1:12", "nobody": "1:1", "admin": "4:2 3:1 2:1"} {
		query := ""
		if who == "admin" {
			query = "?kind=pool&limit=3"
		}
		if got := list(who, query); got != want {
			t.Errorf("%s sees %q, want %q", who, got, want)
		}
	}
	for query, want := range map[string]string{
		"?author=owner": "2:1", "?author=nix": "", "?kind=Pool&name=m": "4:2 3:1", "?before=3&author=owner": "2:1", "?limit=1": "4:2", "?brief=true&limit=2": "4:2 3:1",
	} {
		if got := list("admin", query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	w.want(w.do("viewer", "GET", "/api/v1/changes/3", ""), 403)
	for _, bad := range []string{"?kind=zonk", "?name=b", "?limit=0", "?before=x", "?from=1"} {
		w.want(w.do("viewer", "GET", "/api/v1/changes"+bad, ""), 400)
	}
}

// Who may see nothing of large changes must not make the control plane read all that it keeps for one answer.
func TestPagesOfChangesThatMayNotBeSeenAreShort(t *testing.T) {
	w := newWorld(t)
	before := w.store.Revision()
	const perChange = maxPageObjects/scanAtOnce + 1
	for n := range scanAtOnce + 4 {
		var writes []weir.Write
		for i := range perChange {
			page := &weir.ErrorPage{Body: fmt.Sprint(n)}
			page.Normalize()
			writes = append(writes, weir.Write{Put: &weir.Object{Kind: "ErrorPage", Metadata: weir.Metadata{Name: fmt.Sprintf("p%d", i), Role: "web"}, Spec: page}})
		}
		if _, err := w.store.Apply(t.Context(), store.Request{Author: "admin", Writes: writes}); err != nil {
			t.Fatal(err)
		}
	}
	first := read[ChangeList](t, w.do("other", "GET", "/api/v1/changes", ""))
	if len(first.Items) != 0 || first.Continue <= before {
		t.Errorf("one page of nothing goes on from %d, with %d changes; revision %d was before", first.Continue, len(first.Items), before)
	}
	pages := 1
	for at := first.Continue; at > 0; pages++ {
		at = read[ChangeList](t, w.do("other", "GET", fmt.Sprintf("/api/v1/changes?before=%d", at), "")).Continue
	}
	if pages < 2 || pages > 4 {
		t.Errorf("%d pages", pages)
	}
}
