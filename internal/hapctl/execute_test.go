package hapctl

import (
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/plan"
	"weir/internal/weirtest"
)

// HAProxy answers «del backend» with what happened to servers lately, cut after a kilobyte, and then the result.
func TestRemoveBackendWhoseAnswerDrowns(t *testing.T) {
	t.Parallel()
	each34(t, byMap, func(t *testing.T, l *lab) {
		l.do("add backend d from p", "publish backend d")
		var ops []plan.Op
		for i := range 20 {
			name := fmt.Sprintf("a-server-with-a-long-name-%d", i)
			l.do("add server d/"+name+" 127.0.0.1:9", "enable server d/"+name)
			ops = append(ops, plan.Op{Kind: plan.DisableServer, Backend: "d", Server: name})
		}
		for i := range 20 {
			ops = append(ops, plan.Op{Kind: plan.RemoveServer, Backend: "d", Server: ops[i].Server})
		}
		ops = slices.Insert(ops, 0, plan.Op{Kind: plan.UnpublishBackend, Backend: "d"})
		ops = append(ops, plan.Op{Kind: plan.RemoveBackend, Backend: "d"})
		waiting, err := Executor{Client: l.c}.Execute(bounded(t), ops)
		if err != nil || len(waiting) > 0 {
			t.Fatalf("waiting %v, %v", waiting, err)
		}
		if names, err := l.c.Backends(bounded(t)); err != nil || slices.Contains(names, "d") {
			t.Errorf("backends: %v, %v", names, err)
		}
	})
}

// A bundle of authorities is larger than a command may be, and a part that HAProxy refuses leaves nothing open.
func TestAuthoritiesLargerThanACommand(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, byMap)
		l.start()
		var bundle strings.Builder
		for range 60 {
			bundle.WriteString(newPair(t, false, "an authority "+strings.Repeat("with a long name ", 3)).certPEM() + "\n")
		}
		if bundle.Len() < 32<<10 {
			t.Fatalf("the bundle has %d bytes", bundle.Len())
		}
		set := func(content string) error {
			e := Executor{Client: l.c, File: func(string) (string, error) { return content, nil }}
			_, err := e.Execute(bounded(t), []plan.Op{{Kind: plan.SetCA, Path: "ca.pem"}})
			return err
		}
		l.do("new ssl ca-file ca.pem")
		if err := set(bundle.String()); err != nil {
			t.Fatal(err)
		}
		prints, err := l.c.AuthorityPrints(bounded(t), "ca.pem")
		want := chainSHA1(bundle.String())
		slices.Sort(prints)
		slices.Sort(want)
		if err != nil || !slices.Equal(prints, want) {
			t.Errorf("%d of %d authorities, %v", len(prints), len(want), err)
		}
		broken := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("not a certificate")}))
		if err := set(bundle.String() + broken); err == nil {
			t.Error("what is not a certificate was taken")
		}
		one := newPair(t, false, "the only one")
		if err := set(one.certPEM()); err != nil {
			t.Fatalf("after a refused one: %v", err)
		}
		if prints, err := l.c.AuthorityPrints(bounded(t), "ca.pem"); err != nil || !slices.Equal(prints, chainSHA1(one.certPEM())) {
			t.Errorf("%v, %v", prints, err)
		}
	})
}

// Pools whose servers never come up are waited for at the same time, not one after the other.
func TestWaitsForServersEndTogether(t *testing.T) {
	t.Parallel()
	each34(t, byMap, func(t *testing.T, l *lab) {
		var ops []plan.Op
		for i := range 40 {
			name := fmt.Sprintf("d%d", i)
			l.do("add backend "+name+" from p", "add server "+name+"/s 127.0.0.1:9")
			ops = append(ops, plan.Op{Kind: plan.WaitUp, Backend: name, Servers: []string{"s"}})
		}
		// Something newer comes when the last wait has begun, and each may last for an hour.
		newer := make(chan struct{})
		bound := func(op plan.Op) time.Duration {
			if op.Backend == "d39" {
				close(newer)
			}
			return time.Hour
		}
		_, err := Executor{Client: l.c, Bound: bound, Interrupt: newer}.Execute(bounded(t), ops)
		if !errors.Is(err, ErrInterrupted) {
			t.Errorf("the last wait did not begin: %v", err)
		}
	})
}
