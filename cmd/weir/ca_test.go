package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/api"
	"weir/internal/server"
	"weir/internal/weirtest"
)

// startServer runs a real control plane in this process, without a fleet.
func startServer(t *testing.T) (at server.Listening, dir string) {
	t.Helper()
	dir = weirtest.TempDir(t)
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan server.Listening, 1), make(chan error, 1)
	go func() {
		ended <- server.Run(ctx, server.Options{Dir: dir, Listen: weirtest.Addr(t) + ":7443", Ready: func(l server.Listening) { ready <- l }})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case at = <-ready:
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	case <-time.After(weirtest.Patience):
		t.Fatal("the server is not ready")
	}
	return at, dir
}

// shell gives command lines one after the other.
type shell struct{ t *testing.T }

func (s shell) run(want int, args ...string) (out string) {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	if got := run(s.t.Context(), args, strings.NewReader(""), &stdout, &stderr); got != want {
		s.t.Fatalf("weir %s: %d, want %d\n%s%s", strings.Join(args, " "), got, want, stdout.String(), stderr.String())
	}
	return stdout.String() + stderr.String()
}

func (s shell) says(text string, parts ...string) {
	s.t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			s.t.Errorf("%q is not in:\n%s", p, text)
		}
	}
}

// The CA changes under people who work on, under one who is away, and under a load balancer that does not follow.
func TestCommandLineFollowsTheCA(t *testing.T) {
	at, dir := startServer(t)
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	for _, name := range []string{"WEIR_URL", "WEIR_CA", "WEIR_TOKEN", "WEIR_CONTEXT"} {
		t.Setenv(name, "")
	}
	sh := shell{t}
	for _, name := range []string{"away", "prod"} {
		sh.run(0, "login", at.URL, "--ca", at.CAHash, "--name", name, "--token-file", at.TokenFile)
	}
	pins := func(name string) string {
		all, err := loadContexts()
		if err != nil {
			t.Fatal(err)
		}
		return all.find(name).CA
	}
	old := at.CAHash
	sh.says(sh.run(0, "ca", "status"), "no change of CA is under way", old+"  Weir CA ", "issues", "load balancers: 0/0", "servers: 1/1 know the newest CA, 1/1 use it")
	sh.says(sh.run(1, "ca", "rotate", "--continue"), "no change of CA is under way; weir ca rotate begins one; nothing was changed")
	sh.says(sh.run(0, "ca", "rotate", "--finish"), "this step was taken already")

	// Begun, thrown away, begun again.
	sh.says(sh.run(0, "ca", "rotate"), "weir ca rotate --continue")
	first := strings.Split(pins("prod"), ",")
	sh.run(0, "ca", "rotate", "--cancel")
	sh.run(0, "ca", "status")
	sh.run(0, "ca", "status")
	if pins("prod") != old {
		t.Errorf("after a cancelled change prod pins %s", pins("prod"))
	}
	sh.run(0, "ca", "rotate", "--reason", "yearly")
	sh.says(sh.run(0, "ca", "rotate"), "Nothing to do", "will issue")
	sh.says(sh.run(1, "ca", "rotate", "--finish"), "the new CA does not issue yet")
	hashes := strings.Fields(sh.run(0, "ca", "hash", filepath.Join(dir, "ca.crt")))
	if len(hashes) != 2 || hashes[0] != old || len(first) == 2 && first[1] == hashes[1] {
		t.Fatalf("the data folder says %v, first %v", hashes, first)
	}
	next := hashes[1]
	if pins("prod") != old+","+next {
		t.Errorf("prod pins %s", pins("prod"))
	}
	// A pipeline with its pin in the environment is told what to pin, and goes on with that.
	token, err := os.ReadFile(at.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("WEIR_URL", at.URL)
	t.Setenv("WEIR_CA", old)
	t.Setenv("WEIR_TOKEN", strings.TrimSpace(string(token)))
	sh.says(sh.run(0, "get", "zones"), "The control plane's CA is being changed: set WEIR_CA to "+old+","+next)
	t.Setenv("WEIR_CA", old+","+next)

	// A load balancer that has never been heard holds it up, by name; one that is not active does not.
	manifest := filepath.Join(home, "lb.yaml")
	write := func(state string) {
		t.Helper()
		text := "kind: Zone\nmetadata: {name: az1}\n---\nkind: LoadBalancerGroup\nmetadata: {name: edge}\nspec: {ranges: [203.0.113.0/28]}\n---\nkind: LoadBalancer\nmetadata: {name: lb1}\nspec: {group: edge, zone: az1, state: " + state + "}\n"
		if err := os.WriteFile(manifest, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		sh.run(0, "apply", "-f", manifest, "--reason", "test")
	}
	write("Active")
	sh.says(sh.run(1, "ca", "rotate", "--continue"), "LoadBalancer/lb1: has not told that it believes the new CA; nothing was heard of it", "nothing was changed", "--force")
	sh.says(sh.run(1, "ca", "status", "--wait", "--timeout", "1s"), "load balancers: 0/1 know the newest CA", "lb1 does not know it; was not heard")
	write("Maintenance")
	sh.run(0, "ca", "status", "--wait")
	sh.says(sh.run(0, "ca", "rotate", "--continue"), "the new CA issues", "lb1 does not know it; is in Maintenance and does not count")
	sh.says(sh.run(0, "ca", "rotate", "--continue"), "Nothing to do")
	sh.says(sh.run(1, "ca", "rotate", "--cancel"), "the new CA issues already")
	sh.says(sh.run(1, "ca", "rotate"), "the change of CA before is not finished, "+old+" is still believed")
	weirtest.Eventually(t, weirtest.Patience, func() error {
		_, err := pinned(t.Context(), at.URL, next)
		return err
	})
	sh.run(0, "get", "zones")
	write("Active")
	sh.run(0, "ca", "status", "--timeout", "1s")
	sh.says(sh.run(1, "ca", "rotate", "--finish"), "LoadBalancer/lb1: does not show a certificate of the new CA")
	sh.says(sh.run(0, "ca", "rotate", "--finish", "--force", "--reason", "lb1 burnt down"), "shut out: LoadBalancer/lb1", "no change of CA is under way")

	t.Setenv("WEIR_URL", "")
	t.Setenv("WEIR_CA", "")
	t.Setenv("WEIR_TOKEN", "")
	// prod pins both, until a server that has heard of the end tells it.
	weirtest.Eventually(t, weirtest.Patience, func() error {
		sh.run(0, "get", "zones")
		if pins("prod") != next {
			return fmt.Errorf("in the end prod pins %s, want %s", pins("prod"), next)
		}
		return nil
	})
	if pins("away") != old {
		t.Errorf("nobody used away, and it pins %s", pins("away"))
	}
	sh.says(sh.run(1, "--context", "away", "get", "zones"),
		"none of its certificates has the hash "+old, "if its CA was changed while you were away", "weir login "+at.URL+" --ca sha256:", "weir ca hash ca.crt in the server's data folder")
	hash := strings.TrimSpace(sh.run(0, "ca", "hash", filepath.Join(dir, "ca.crt")))
	sh.run(0, "login", at.URL, "--ca", hash, "--name", "away", "--token-file", at.TokenFile)
	sh.run(0, "--context", "away", "get", "zones")
	audit, err := os.ReadFile(filepath.Join(dir, "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	sh.says(string(audit), `"change CA: begin"`, `yearly (`, `"change CA: cancel"`, `"change CA: continue"`, "lb1 burnt down (", "shut out LoadBalancer/lb1")
	sh.says(sh.run(1, "ca", "hash", manifest), "text that is not PEM")
}

// pinned connects to a control plane by one CA.
func pinned(ctx context.Context, url, ca string) (*client, error) {
	c, err := newClient(namedContext{URL: url, CA: ca, Token: os.Getenv("WEIR_TOKEN")}, answerWithin)
	if err != nil {
		return nil, err
	}
	return c, c.get(ctx, "whoami", nil, nil)
}

// TestRegisteredServersHoldUpACA: status counts and names those that don't know a CA that is to issue, and waits for them.
func TestRegisteredServersHoldUpACA(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	status := &api.CAStatus{Phase: api.CAAnnounced, Registered: api.CARegistered{Know: 2, Of: 3, Unaware: []string{"web-3"}}}
	printCA(&screen{out: &out}, status, time.Now())
	shell{t}.says(out.String(), "registered servers: 2/3 know the newest CA\n  web-3 does not know it\n")
	if followed(status) {
		t.Error("nobody waits for web-3")
	}
	status.Registered.Know, status.Registered.Unaware = 3, nil
	if !followed(status) {
		t.Error("all know it, and that is waited for")
	}
	status.Phase, status.Registered.Know = api.CAIssuing, 0
	if !followed(status) {
		t.Error("a CA that issues waits for those that renew by themselves")
	}
}
