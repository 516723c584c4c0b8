package api

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"weir"
	"weir/internal/store"
)

// fakeRestore is a restore that can be accepted.
type fakeRestore struct {
	mu  sync.Mutex
	now *Restored
}

func (f *fakeRestore) hold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	f.now = &Restored{BackupAt: at, BackupRevision: 7, RestoredAt: at.Add(time.Hour), Held: true}
}

func (f *fakeRestore) Restored() *Restored {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fakeRestore) RestorePlan(context.Context) (RestorePlan, error) {
	return RestorePlan{
		Restored: *f.Restored(), Same: []string{"lb2"}, Unknown: []RestoreUnknown{}, Strangers: []Stranger{{Name: "lb9"}},
		Plan: PlanAnswer{LoadBalancers: []LoadBalancerPlan{{Name: "lb1", Sentences: []string{"delete Site/new"}}}},
	}, nil
}

func (f *fakeRestore) AcceptRestore(_ context.Context, by, reason string) (Restored, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.now.Held {
		return *f.now, weir.Errorf(weir.Conflict, "accepted already")
	}
	next := *f.now
	next.Held, next.AcceptedBy, next.Reason = false, by, reason
	f.now = &next
	return next, nil
}

const recipient = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"

// A held control plane says so where people wait for load balancers; accepting takes a reason and leaves a trace.
func TestRestoreIsAccepted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.do("admin", "GET", "/api/v1/restore/plan", ""), 409)
	w.want(w.do("admin", "POST", "/api/v1/restore/accept?reason=x", ""), 409)
	w.restore.hold()
	if p := w.want(w.do("viewer", "GET", "/api/v1/status?wait=1", ""), 409).problem(t); !strings.Contains(p.Detail, "is held") || !strings.Contains(p.Detail, "weir restore plan") {
		t.Errorf("%s", p.Detail)
	}
	if plan := read[RestorePlan](t, w.do("auditor", "GET", "/api/v1/restore/plan", "")); len(plan.Plan.LoadBalancers) != 1 || len(plan.Strangers) != 1 || !plan.Restored.Held {
		t.Errorf("%+v", plan)
	}
	w.want(w.do("admin", "POST", "/api/v1/restore/accept", ""), 400)
	w.want(w.do("admin", "POST", "/api/v1/restore/accept?reason=a%0ab", ""), 400)
	w.want(w.do("owner", "POST", "/api/v1/restore/accept?reason=x", ""), 403)
	if r := read[Restored](t, w.do("admin", "POST", "/api/v1/restore/accept?reason=looks+right", "")); r.Held || r.AcceptedBy != "admin" {
		t.Errorf("%+v", r)
	}
	w.want(w.do("admin", "POST", "/api/v1/restore/accept?reason=again", ""), 409)
	if log := w.auditText(); !strings.Contains(log, `"accept restore"`) || !strings.Contains(log, "looks right") {
		t.Errorf("the audit file: %s", log)
	}
}

// A backup is sent whole, to those only who were named, and leaves a trace and no file.
func TestBackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	w.want(w.do("admin", "POST", "/api/v1/backup", ""), 400)
	secret := id.String()
	p := w.want(w.do("admin", "POST", "/api/v1/backup?recipient="+secret, ""), 400).problem(t)
	if strings.Contains(p.Detail, secret[20:40]) || !strings.Contains(p.Detail, "public keys of age") {
		t.Errorf("a private key given by mistake: %s", p.Detail)
	}
	w.want(w.do("owner", "POST", "/api/v1/backup?recipient="+recipient, ""), 403)
	a := w.want(w.do("admin", "POST", "/api/v1/backup?recipient="+recipient+"&recipient="+id.Recipient().String(), ""), 200)
	if name := a.Header.Get("Content-Disposition"); !strings.Contains(name, "weir-") || a.Header.Get("Content-Length") == "" {
		t.Errorf("headers: %v", a.Header)
	}
	ids, err := store.ParseIdentities(secret)
	if err != nil {
		t.Fatal(err)
	}
	info, err := store.VerifyBackup(bytes.NewReader(a.body), ids, nil)
	if err != nil || info.Revision != w.store.Revision() || info.Objects["Zone"] == 0 || info.Version != "test" {
		t.Errorf("%+v %v", info, err)
	}
	if _, err := age.Decrypt(bytes.NewReader(a.body), id); err != nil {
		t.Error(err)
	}
	if in, err := age.Decrypt(bytes.NewReader(a.body), id); err == nil {
		if n, err := io.Copy(io.Discard, in); n == 0 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(w.spool, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if left, err := os.ReadDir(w.spool); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if log := w.auditText(); !strings.Contains(log, `"backup"`) || !strings.Contains(log, recipient) {
		t.Errorf("the audit file: %s", log)
	}
	w.handler.backing.Lock()
	w.want(w.do("admin", "POST", "/api/v1/backup?recipient="+recipient, ""), 429)
	w.handler.backing.Unlock()
}
