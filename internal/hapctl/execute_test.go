package hapctl

import (
	"fmt"
	"slices"
	"testing"

	"weir/internal/plan"
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
