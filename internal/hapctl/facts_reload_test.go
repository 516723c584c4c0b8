package hapctl

import (
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

// A reload whose address is taken says Success=0, and the old worker serves on afterwards.
func TestFactReloadWithPortTaken(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, byMap)
		pid, err := l.c.Pid(bounded(t))
		if err != nil {
			t.Fatal(err)
		}
		ln, err := net.Listen("tcp", l.addr+":8081")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		l.config(byMap + "frontend g from base\n  bind ADDR:8081\n  default_backend next\n")
		// haproxy -c does not see it.
		if err := Check(bounded(t), h.Path, l.dir, "haproxy.cfg"); err != nil {
			t.Error(err)
		}
		var refused *ReloadError
		if _, err := l.proc.Reload(bounded(t)); !errors.As(err, &refused) || !strings.Contains(err.Error(), l.addr+":8081") {
			t.Errorf("reload: %v", err)
		}
		if now, err := l.c.Pid(bounded(t)); now != pid || err != nil {
			t.Errorf("worker %d serves, want %d, %v", now, pid, err)
		}
		l.wantStatus("x", 418)
		if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
		l.reload()
		l.wantStatus("x", 418)
	})
}

// After a failed reload the master lists no worker; the one that serves is the first of the old ones.
func TestFactFailedReloadListsServingWorkerAsOld(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, byMap)
		pid, err := l.c.Pid(bounded(t))
		if err != nil {
			t.Fatal(err)
		}
		l.config(byMap + "backend x\n bogus\n")
		if _, err := l.proc.Reload(bounded(t)); err == nil {
			t.Error("the reload worked")
		}
		w, err := l.proc.Workers(bounded(t))
		if err != nil || len(w.Workers) != 0 || len(w.Old) != 1 || w.Old[0].Pid != pid || w.Failed != 1 {
			t.Errorf("%+v, %v", w, err)
		}
		if _, err := l.proc.serving(bounded(t)); err != nil {
			t.Error(err)
		}
	})
}

// A session stays with the worker that it was opened on, which goes on saying that
// all is well, at least of maps; of servers it says that their proxy is disabled.
func TestFactOldSessionStaysOnOldWorker(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, twoServers)
		old, err := openConn(bounded(t), filepath.Join(l.dir, "run/admin.sock"), Patience)
		if err != nil {
			t.Fatal(err)
		}
		defer old.Close()
		ask := func(line string) string {
			t.Helper()
			text, err := old.exchange(bounded(t), patient, old.mark([]byte(line+"\n")), 1)
			if err != nil {
				t.Fatal(err)
			}
			return text[0]
		}
		was, err := haproxy.ParseInfo(ask("show info"))
		if err != nil || was.Stopping {
			t.Fatalf("%+v, %v", was, err)
		}
		now := l.reload()
		if text := ask("add map maps/hosts a b"); strings.TrimSpace(text) != "" {
			t.Errorf("the old worker says %q", text)
		}
		if text := ask("set weight b/s1 50"); !strings.Contains(text, "Proxy is disabled") {
			t.Errorf("the old worker says %q", text)
		}
		info, err := haproxy.ParseInfo(ask("show info"))
		if err != nil || info.Pid != was.Pid || info.Pid == now.Worker || !info.Stopping {
			t.Errorf("%+v, %v", info, err)
		}
		if m, err := l.c.Map(bounded(t), "maps/hosts"); err != nil || len(m) != 0 {
			t.Errorf("the new worker has %v, %v", m, err)
		}
	})
}

// A Client of before the reload, by whoever it was done, notices and says so or goes on with the new worker.
func TestFactClientNoticesForeignReload(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, twoServers)
		other := NewClient(filepath.Join(l.dir, "run/admin.sock"))
		defer other.Close()
		if _, err := other.Pid(bounded(t)); err != nil {
			t.Fatal(err)
		}
		now := l.reload()
		cmd := command(t, "set weight b/s1 50")
		if _, err := other.Do(bounded(t), cmd); !errors.Is(err, ErrStaleWorker) {
			t.Errorf("first command: %v", err)
		}
		if _, err := other.Do(bounded(t), cmd); err != nil {
			t.Errorf("second command: %v", err)
		}
		if pid, err := other.Pid(bounded(t)); pid != now.Worker || err != nil {
			t.Errorf("worker %d, want %d, %v", pid, now.Worker, err)
		}
		if w := l.server("b", "s1").Weight; w != 50 {
			t.Errorf("weight = %d", w)
		}
	})
}

// A socket's relative path needs unix@ in front: without it HAProxy takes it for an address.
func TestFactRelativeSocketNeedsPrefix(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, "")
		l.file("bad.cfg", "global\n stats socket run/admin.sock mode 600 level admin\n")
		if err := Check(bounded(t), h.Path, l.dir, "bad.cfg"); err == nil || !strings.Contains(err.Error(), "missing port") {
			t.Errorf("%v", err)
		}
	})
}

// Two frontends on one address and port are accepted without a word.
func TestFactTwoFrontendsShareAnAddress(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, "frontend a from base\n bind ADDR:8080\n http-request return status 201\nfrontend b from base\n bind ADDR:8080\n http-request return status 202\n")
		if err := Check(bounded(t), h.Path, l.dir, "haproxy.cfg"); err != nil {
			t.Errorf("%v", err)
		}
		l.start()
		seen := map[int]bool{}
		l.eventually(func() error {
			status, _, err := l.get("x")
			if seen[status] = true; err == nil && (!seen[http.StatusCreated] || !seen[http.StatusAccepted]) {
				err = errors.New("only one of them answers")
			}
			return err
		})
	})
}
