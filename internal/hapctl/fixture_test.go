package hapctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

// patient bounds everything in these tests that must come.
const patient = weirtest.Patience

// lab is one HAProxy with an address and a folder of its own.
type lab struct {
	*testing.T
	h    weirtest.HAProxy
	dir  string
	addr string // 127.x.y.1; the test has .2 to .254 as well
	proc *Process
	c    *Client
}

// base begins every configuration here.
const base = `global
  stats socket unix@run/admin.sock mode 600 level admin
  server-state-file state
  hard-stop-after 10s
defaults base
  mode http
  timeout connect 2s
  timeout client 10s
  timeout server 10s
  load-server-state-from-file global
`

// newLab prepares a folder whose configuration is base and what config adds; ADDR stands for the address.
func newLab(t *testing.T, h weirtest.HAProxy, config string) *lab {
	t.Helper()
	l := &lab{T: t, h: h, dir: weirtest.TempDir(t), addr: weirtest.Addr(t)}
	l.config(config)
	return l
}

// startLab starts HAProxy, too.
func startLab(t *testing.T, h weirtest.HAProxy, config string) *lab {
	t.Helper()
	l := newLab(t, h, config)
	l.start()
	return l
}

// config writes a new configuration; HAProxy has it after start or reload.
func (l *lab) config(config string) {
	l.Helper()
	l.file("haproxy.cfg", strings.ReplaceAll(base+config, "ADDR", l.addr))
}

func (l *lab) file(name, text string) {
	l.Helper()
	path := filepath.Join(l.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		l.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		l.Fatal(err)
	}
}

func (l *lab) options() Options {
	return Options{Path: l.h.Path, Dir: l.dir, DieWithParent: true, Log: slog.New(slog.NewTextHandler(testLog{l.T}, nil))}
}

func (l *lab) start() {
	l.Helper()
	var err error
	if l.proc, err = Start(bounded(l.T), l.options()); err != nil {
		l.Fatal(err)
	}
	l.c = l.proc.Client()
	proc := l.proc
	l.Cleanup(func() { end(proc) })
}

// end kills a HAProxy of a test.
func end(p *Process) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = p.Stop(ctx)
}

func (l *lab) reload() Reloaded {
	l.Helper()
	r, err := l.proc.Reload(bounded(l.T))
	if err != nil {
		l.Fatal(err)
	}
	return r
}

// do runs commands that must work, one a line of words without blanks.
func (l *lab) do(lines ...string) string {
	l.Helper()
	text := ""
	for _, line := range lines {
		a, err := l.c.Do(bounded(l.T), command(l.T, line))
		if err != nil {
			l.Fatal(err)
		}
		text = a.Text
	}
	return text
}

// pay runs a command with payload that must work.
func (l *lab) pay(line, payload string) {
	l.Helper()
	if _, err := l.tryPay(line, payload); err != nil {
		l.Fatal(err)
	}
}

func (l *lab) tryPay(line, payload string) (Answer, error) {
	cmd, err := command(l.T, line).WithPayload(payload)
	if err != nil {
		l.Fatal(err)
	}
	return l.c.Do(bounded(l.T), cmd)
}

// refused runs a command that must be refused, and gives HAProxy's words.
func (l *lab) refused(line string) string {
	l.Helper()
	_, err := l.c.Do(bounded(l.T), command(l.T, line))
	return refusal(l.T, err)
}

func refusal(t *testing.T, err error) string {
	t.Helper()
	var r *Refused
	if !errors.As(err, &r) {
		t.Fatalf("not refused: %v", err)
	}
	return r.Text
}

func command(t testing.TB, line string) Command {
	t.Helper()
	cmd, err := NewCommand(strings.Fields(line)...)
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}

// server gives what HAProxy has of one server.
func (l *lab) server(backend, name string) haproxy.ServerState {
	l.Helper()
	s, err := l.findServer(backend, name)
	if err != nil {
		l.Fatal(err)
	}
	return s
}

func (l *lab) findServer(backend, name string) (haproxy.ServerState, error) {
	states, err := l.c.ServersState(bounded(l.T), backend)
	if err != nil {
		return haproxy.ServerState{}, err
	}
	for _, s := range states {
		if s.Server == name {
			return s, nil
		}
	}
	return haproxy.ServerState{}, fmt.Errorf("no server %s/%s in %+v", backend, name, states)
}

// stat gives one row of the statistics.
func (l *lab) stat(proxy, service string) haproxy.StatRow {
	l.Helper()
	rows, err := l.c.Stat(bounded(l.T))
	if err != nil {
		l.Fatal(err)
	}
	for _, r := range rows {
		if r.Proxy == proxy && r.Service == service {
			return r
		}
	}
	l.Fatalf("no row %s/%s", proxy, service)
	return haproxy.StatRow{}
}

// origin starts a server at 127.x.y.N:80 of the lab.
func (l *lab) origin(n int) *weirtest.Origin {
	return weirtest.NewOrigin(l.T, l.at(n)+":8000")
}

// at gives 127.x.y.N.
func (l *lab) at(n int) string {
	return strings.TrimSuffix(l.addr, ".1") + fmt.Sprintf(".%d", n)
}

// get asks for / of a host at port 8080 of the lab, on a connection of its own.
func (l *lab) get(host string) (status int, origin string, err error) {
	req, err := http.NewRequest("GET", "http://"+l.addr+":8080/", nil)
	if err != nil {
		return 0, "", err
	}
	req.Host = host
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patient}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.Header.Get("X-Origin"), err
}

// wantStatus asks once.
func (l *lab) wantStatus(host string, want int) {
	l.Helper()
	if got, _, err := l.get(host); got != want || err != nil {
		l.Errorf("%s answered %d %v, want %d", host, got, err, want)
	}
}

// eventually waits until f gives no error.
func (l *lab) eventually(f func() error) {
	l.Helper()
	weirtest.Eventually(l.T, patient, f)
}

// eventuallyUp waits until a server has the wanted health.
func (l *lab) eventuallyUp(backend, name string, up bool) {
	l.Helper()
	l.eventually(func() error {
		s, err := l.findServer(backend, name)
		if err == nil && s.Up() != up {
			err = fmt.Errorf("%+v, want up %v", s, up)
		}
		return err
	})
}

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeoutCause(t.Context(), patient, errors.New("the test waited too long"))
	t.Cleanup(cancel)
	return ctx
}

// testLog gives what is logged to the test while it runs.
type testLog struct{ t *testing.T }

func (w testLog) Write(b []byte) (int, error) {
	if w.t.Context().Err() == nil {
		w.t.Log(strings.TrimSpace(string(b)))
	}
	return len(b), nil
}

// refusing listens nowhere: an address of the lab at which connections are refused.
func (l *lab) refusing(n int) string { return net.JoinHostPort(l.at(n), "8009") }
