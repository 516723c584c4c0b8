package hapctl

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

// A worker that was replaced stays as long as it has a witness, who knows when nothing is left to count, and what the
// master says of it is the same.
func TestWitness(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		ctx := bounded(t)
		l := startLab(t, h, "frontend fe\n  bind ADDR:80\n  default_backend web.abcd\nbackend web.abcd\n  server s1.abcd ADDR:9000\n")
		hold := make(chan struct{})
		slow := make(chan struct{}, 1)
		ln, err := net.Listen("tcp", l.addr+":9000")
		if err != nil {
			t.Fatal(err)
		}
		origin := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				slow <- struct{}{}
				<-hold
			}
			_, _ = io.WriteString(w, "ok")
		})}
		go func() { _ = origin.Serve(ln) }()
		t.Cleanup(func() { origin.Close() })
		client := &http.Client{Transport: &http.Transport{}}
		get := func(path string) {
			answer, err := client.Get("http://" + l.addr + path)
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
		w, err := l.proc.Witness(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		get("/")
		done := make(chan struct{})
		go func() {
			defer close(done)
			get("/slow")
		}()
		<-slow
		l.reload()
		info, err := w.Info(ctx)
		if err != nil || info.Pid != w.Pid || !info.Stopping || Alone(info) {
			t.Fatalf("%+v, %v", info, err)
		}
		if old, err := l.proc.OldInfo(ctx, w.Pid); err != nil || old.All["Start_time_sec"] != fmt.Sprint(w.Began) || Alone(old) {
			t.Errorf("%+v, %v", old, err)
		}
		l.c.Reset()
		l.proc.Watch().Reset()
		close(hold)
		<-done
		client.CloseIdleConnections()
		weirtest.Eventually(t, patient, func() error {
			if info, err := w.Info(ctx); err != nil || !Alone(info) {
				return fmt.Errorf("jobs %s, %v", info.All["Jobs"], err)
			}
			return nil
		})
		rows, err := w.Counters(ctx, "", true)
		if err != nil || len(rows) != 3 {
			t.Fatalf("%+v, %v", rows, err)
		}
		for _, r := range rows {
			if n := r.Counters[haproxy.Responses2xx]; n != 2 || r.Type != haproxy.StatServer && r.Counters[haproxy.Requests] != 2 {
				t.Errorf("%+v", r)
			}
		}
		by, err := l.proc.OldCounters(ctx, w.Pid, true)
		if err != nil || fmt.Sprint(by) != fmt.Sprint(rows) {
			t.Errorf("the master says %+v, %v", by, err)
		}
		for backend, want := range map[string]int{"web.abcd": 2, "gone.abcd": 0} {
			if some, err := w.Counters(ctx, backend, true); err != nil || len(some) != want {
				t.Errorf("%s: %+v, %v", backend, some, err)
			}
		}
		if few, err := w.Counters(ctx, "", false); err != nil || len(few) != 2 {
			t.Errorf("without servers: %+v, %v", few, err)
		}
		w.Close()
		weirtest.Eventually(t, patient, func() error {
			proc, err := l.proc.Workers(ctx)
			if err != nil || len(proc.Old) > 0 {
				return fmt.Errorf("%+v, %v", proc.Old, err)
			}
			return nil
		})
		if _, err := l.proc.OldInfo(ctx, w.Pid); err == nil {
			t.Error("a worker that has ended answers")
		}
	})
}
