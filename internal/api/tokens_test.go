package api

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/secrets"
	"weir/internal/store"
)

type tokenText struct {
	Token    string
	Revision int64
	Object   struct {
		Metadata weir.Metadata
		Spec     weir.Token
	}
}

func tokenOf(rest string) string {
	return "kind: Token\nmetadata: {name: robot}\nspec: {subject: robot" + rest + "}"
}

func TestATokensLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	until := w.clock().Add(48 * time.Hour).Format(time.RFC3339)
	made := read[tokenText](t, w.do("admin", "POST", "/api/v1/tokens?reason=ci", tokenOf(", expiresAt: "+until)))
	if made.Object.Spec.Hash != "" || made.Object.Spec.Subject != "robot" || made.Object.Metadata.Name != "robot" {
		t.Errorf("%+v", made)
	}
	w.tokens["robot"] = made.Token
	me := read[WhoAmI](t, w.do("robot", "GET", "/api/v1/whoami", ""))
	if me.Subject != "robot" || me.Token != "robot" || len(me.Grants) != 0 || me.Version != "test" {
		t.Errorf("%+v", me)
	}
	w.want(w.do("admin", "PUT", "/api/v1/grants/robot", "kind: Grant\nmetadata: {name: robot}\nspec: {subject: robot, role: web, right: owner}"), 201)
	w.want(w.do("robot", "PUT", "/api/v1/pools/b", poolB), 201)
	// Typing mistakes that don't matter, and one that does.
	w.want(w.do("bearer "+strings.ToUpper(made.Token), "GET", "/api/v1/whoami", ""), 200)
	w.want(w.do("Bearer "+made.Token[:len(made.Token)-1], "GET", "/api/v1/whoami", ""), 401)
	w.want(w.do("Basic "+made.Token, "GET", "/api/v1/whoami", ""), 401)
	w.want(w.do(made.Token, "GET", "/api/v1/whoami", ""), 401)
	w.pass(48*time.Hour - time.Second)
	w.want(w.do("robot", "GET", "/api/v1/whoami", ""), 200)
	w.pass(time.Second)
	p := w.want(w.do("robot", "GET", "/api/v1/whoami", ""), 401).problem(t)
	if !strings.Contains(p.Detail, "run out") {
		t.Error(p.Detail)
	}
	w.want(w.do("admin", "DELETE", "/api/v1/tokens/robot", ""), 200)
	p = w.want(w.do("robot", "GET", "/api/v1/whoami", ""), 401).problem(t)
	if !strings.Contains(p.Detail, "not known") {
		t.Error(p.Detail)
	}
	for secret, where := range map[string]string{made.Token: "token", strings.Split(made.Token, "_")[2]: "its digits"} {
		if all := w.everything() + w.log.String() + w.auditText(); strings.Contains(all, secret) {
			t.Errorf("%s: kept or told somewhere", where)
		}
	}
}

func (w *world) auditText() string {
	w.t.Helper()
	raw, err := os.ReadFile(w.audit)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(raw)
}

func TestTokensAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := func(d time.Duration) string { return ", expiresAt: " + w.clock().Add(d).Format(time.RFC3339) }
	join := ", join: {group: edge, zone: az1}"
	for name, c := range map[string]struct {
		body, want string
		status     int
	}{
		"too long":       {tokenOf(in(367 * 24 * time.Hour)), "spec.expiresAt", 400},
		"past":           {tokenOf(in(-time.Second)), "spec.expiresAt", 400},
		"hash":           {tokenOf(", hash: sha256:00"), "spec.hash", 400},
		"long join":      {tokenOf(join + in(2*time.Hour)), "spec.expiresAt", 400},
		"unknown group":  {tokenOf(", join: {group: nix, zone: az1}"), "nix", 400},
		"no subject":     {"kind: Token\nmetadata: {name: robot}", "spec.subject", 400},
		"another kind":   {poolB, "kind", 400},
		"name is in use": {strings.Replace(tokenOf(""), "name: robot", "name: t-owner", 1), "exists already", 412},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.want(w.do("admin", "POST", "/api/v1/tokens", c.body), c.status)
			if a.problem(t); !strings.Contains(string(a.body), c.want) {
				t.Errorf("%s, want %q", a.body, c.want)
			}
		})
	}
	// Tokens can't be applied into being, nor made into others.
	w.want(w.do("admin", "POST", "/api/v1/apply", tokenOf("")), 400)
	w.want(w.do("admin", "PUT", "/api/v1/tokens/t-owner", manifest("Token", "t-owner", "}\nspec: {subject: admin}")), 400)
	w.want(w.do("admin", "PUT", "/api/v1/tokens/t-owner", manifest("Token", "t-owner", "}\nspec: {subject: owner, expiresAt: 2100-01-01T00:00:00Z}")), 400)
	w.want(w.do("admin", "PUT", "/api/v1/tokens/t-owner", manifest("Token", "t-owner", ", labels: {a: b}}\nspec: {subject: owner}")), 200)
	w.want(w.do("owner", "GET", "/api/v1/whoami", ""), 200)
	if w.store.Revision() != 2 {
		t.Error("something else was written")
	}
}

func TestJoinTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := read[tokenText](t, w.do("admin", "POST", "/api/v1/tokens", tokenOf(", join: {group: edge, zone: az1, loadBalancer: lb2}")))
	secret, ca, err := secrets.ParseJoinToken(made.Token)
	if err != nil || ca != w.handler.opts.CAHash() {
		t.Fatalf("%v %s", err, ca)
	}
	if want := w.clock().Add(time.Hour); !made.Object.Spec.ExpiresAt.Equal(want) {
		t.Errorf("until %s, want %s", made.Object.Spec.ExpiresAt, want)
	}
	hash, err := secrets.HashToken(secret)
	if err != nil {
		t.Fatal(err)
	}
	if o := w.store.View().Get(weir.Ref{Kind: "Token", Name: "robot"}); o.Spec.(*weir.Token).Hash != hash {
		t.Error("another hash is kept")
	}
	for _, text := range []string{made.Token, secret} {
		w.want(w.do("Bearer "+text, "GET", "/api/v1/whoami", ""), 401)
	}
	if a := w.auditText(); !strings.Contains(a, `"what":"make join token"`) || !strings.Contains(a, `"author":"admin"`) {
		t.Error(a)
	}
}

// TestExportedTokensApplyAgain: what a client can see of tokens is an empty change when it is applied.
func TestExportedObjectsApplyAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, k := range weir.Kinds() {
		if k.ReadOnly {
			continue
		}
		list := w.want(w.do("admin", "GET", "/api/v1/"+k.Plural, ""), 200)
		if !strings.Contains(string(list.body), `"metadata"`) {
			continue
		}
		a := read[applyText](t, w.do("admin", "POST", "/api/v1/apply", string(list.body), "Content-Type", "application/json"))
		if len(a.Change.Objects) != 0 || len(a.Objects) == 0 {
			t.Errorf("%s: %+v", k.Name, a.Change)
		}
	}
}

func TestRefusalsAreAuditedWithinBounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range refusalBurst * 3 {
		w.want(w.do("Bearer wrong", "GET", "/api/v1/pools", ""), 401)
	}
	lines := func() int { return strings.Count(w.auditText(), "\n") }
	if n := lines(); n != refusalBurst {
		t.Errorf("%d records, want %d", n, refusalBurst)
	}
	w.pass(refusalEvery)
	w.want(w.do("viewer", "PUT", "/api/v1/pools/b", poolB), 403)
	text := w.auditText()
	last := text[strings.LastIndex(strings.TrimSpace(text), "\n")+1:]
	var rec struct{ Author, What, Outcome, Reason, Remote string }
	if err := json.Unmarshal([]byte(last), &rec); err != nil {
		t.Fatal(err)
	}
	if rec.Author != "viewer" || rec.What != "PUT /api/v1/pools/{name} b" || rec.Outcome != "refused" || rec.Remote != "127.0.0.1" ||
		!strings.Contains(rec.Reason, "40 refusals") {
		t.Errorf("%+v", rec)
	}
	if _, err := secrets.VerifyAudit(w.audit); err != nil {
		t.Error(err)
	}
	if _, err := w.store.Apply(t.Context(), store.Request{Author: "x", Writes: []weir.Write{{Delete: weir.Ref{Kind: "Pool", Name: "nix"}}}}); err != nil {
		t.Error(err)
	}
}

// TestJoinTokensForATakenNameAreRefusedAtOnce: by the rule that would refuse whoever spends one.
func TestJoinTokensForATakenNameAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ask := func(name, more string) answer {
		return w.do("admin", "POST", "/api/v1/tokens", "kind: Token\nmetadata: {name: join}\nspec: {subject: agent, join: {group: edge, zone: az1, loadBalancer: "+name+more+"}}")
	}
	before := w.store.Revision()
	p := w.want(ask("lb1", ""), 409).problem(t)
	if !strings.Contains(p.Detail, "lb1 exists") || !strings.Contains(p.Detail, "--replace") || w.store.Revision() != before {
		t.Errorf("revision %d after %d: %s", w.store.Revision(), before, p.Detail)
	}
	w.want(ask("lb1", ", replace: true"), 201)
	for _, c := range []struct {
		name    string
		replace bool
		kind    weir.ErrorKind
	}{{"lb1", false, weir.Conflict}, {"lb1", true, ""}, {"lb2", false, ""}, {"a b", true, weir.Invalid}} {
		if err := MayEnrol(w.store.View(), &weir.JoinTerms{Group: "edge", Zone: "az1", Replace: c.replace}, c.name); weir.KindOf(err) != c.kind {
			t.Errorf("%q with replace %v: %v", c.name, c.replace, err)
		}
	}
}
