package api

import (
	"context"
	"strings"
	"testing"

	"weir"
)

// fakeCA is a CA that says what it was asked.
type fakeCA struct{}

func (*fakeCA) Believed() []string { return []string{"sha256:aa", "sha256:bb"} }

func (*fakeCA) Status(context.Context) (CAStatus, error) {
	return CAStatus{
		Phase: CAAnnounced, Newest: "sha256:bb", Authorities: []Authority{{CA: "sha256:aa", Issues: true}, {CA: "sha256:bb"}}, Of: 1,
		LoadBalancers: []CAFollower{{Name: "lb1", State: weir.Active}}, Servers: []CAFollower{{Name: "s1", Knows: true}},
		Registered: CARegistered{Know: 1, Of: 2, Unaware: []string{"web-1"}},
	}, nil
}

func (f *fakeCA) Change(ctx context.Context, step CAStep, force bool) (CAChange, error) {
	status, err := f.Status(ctx)
	change := CAChange{CAStatus: status, Changed: step != CABegin}
	if step == CAContinue && !force {
		return change, &weir.Error{Kind: weir.Conflict, Message: "not yet", Problems: []weir.Problem{{Object: "LoadBalancer/lb1", Message: "has not learnt it"}}}
	}
	if force {
		change.ShutOut = []string{"LoadBalancer/lb1"}
	}
	return change, err
}

func TestCA(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.want(w.do("viewer", "GET", "/api/v1/ca", ""), 200)
	if got := a.Header.Get("Weir-CA"); got != "sha256:aa,sha256:bb" {
		t.Errorf("the answer says %q", got)
	}
	if s := read[CAStatus](t, a); s.LoadBalancers != nil || s.Servers != nil || s.Registered.Unaware != nil || s.Registered.Of != 2 || s.Of != 1 || len(s.Authorities) != 2 {
		t.Errorf("to somebody with one role: %+v", s)
	}
	if s := read[CAStatus](t, w.do("auditor", "GET", "/api/v1/ca", "")); len(s.LoadBalancers) != 1 || len(s.Servers) != 1 || len(s.Registered.Unaware) != 1 {
		t.Errorf("to who sees everything: %+v", s)
	}
	w.want(w.do("admin", "POST", "/api/v1/ca/rotate?step=stop", ""), 400)
	if c := read[CAChange](t, w.do("admin", "POST", "/api/v1/ca/rotate", "")); c.Changed || c.Newest != "sha256:bb" {
		t.Errorf("%+v", c)
	}
	p := w.want(w.do("admin", "POST", "/api/v1/ca/rotate?step=continue", ""), 409).problem(t)
	if len(p.Errors) != 1 || p.Errors[0].Object != "LoadBalancer/lb1" {
		t.Errorf("%+v", p)
	}
	w.want(w.do("admin", "POST", "/api/v1/ca/rotate?step=continue&force=true&reason=lost+key", ""), 200)
	w.want(w.do("owner", "POST", "/api/v1/ca/rotate?step=finish&force=true", ""), 403)
	log := w.auditText()
	for _, want := range []string{
		`"change CA: begin"`, `it was done already`, `"change CA: continue"`, `"refused"`, `lost key (the newest is sha256:bb; shut out LoadBalancer/lb1)`, `POST /api/v1/ca/rotate`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the audit file lacks %s:\n%s", want, log)
		}
	}
}
