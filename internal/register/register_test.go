package register

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/weirtest"
)

const pin = "sha256:abababababababababababababababababababababababababababababababab"

const good = `controlPlane: [https://weir1.example:7443, "https://weir2.example:7443/"]
ca: ` + pin + `
tokenFile: register.token
name: web-1
address: 10.1.20.17
ports: {http: 8080}
labels: {tier: front}
checks:
- http: {url: http://127.0.0.1:8080/healthz}
  interval: 500ms
- name: database
  tcp: {address: "127.0.0.1:5432"}
  timeout: 200ms
  rise: 3
- command: {argv: [/usr/local/bin/check, --fast]}
drainTime: 30s
`

func TestRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "service.yaml")
	if err := os.WriteFile(path, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if s.ControlPlane[1] != "https://weir2.example:7443" || s.TokenFile != filepath.Join(filepath.Dir(path), "register.token") || s.DrainTime.D() != 30*time.Second {
		t.Errorf("%+v", s)
	}
	if c := s.Checks[0]; c.Name != "http://127.0.0.1:8080/healthz" || c.HTTP.Expect != "200-299" || c.Interval.D() != 500*time.Millisecond || c.Timeout.D() != time.Second || c.Rise != 2 || c.Fall != 2 {
		t.Errorf("%+v", c)
	}
	if s.Checks[1].Name != "database" || s.Checks[1].Rise != 3 || s.Checks[2].Name != "check" {
		t.Errorf("%+v", s.Checks)
	}
}

// TestMistakesInTheFile: each is told with its line and field.
func TestMistakesInTheFile(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct{ from, to, want string }{
		"unknown field":       {"drainTime:", "drain:", "service.yaml:16: drain: is no field"},
		"no https":            {"https://weir1.example:7443", "http://weir1", "service.yaml:1: controlPlane[0]"},
		"no pin":              {pin, "sha256:1", "service.yaml:2: ca"},
		"no name":             {"name: web-1", "name: Web 1", "service.yaml:4: name"},
		"no address":          {"10.1.20.17", "web-1.example", "service.yaml:5: address"},
		"unspecified address": {"10.1.20.17", "0.0.0.0", "service.yaml:5: address"},
		"port":                {"8080}", "80800}", "service.yaml:6: ports"},
		"label":               {"tier: front", "tier: \"a\\nb\"", "service.yaml:7: labels"},
		"two kinds":           {"- name: database\n  tcp", "- name: database\n  http: {url: http://127.0.0.1/}\n  tcp", "service.yaml:11: checks[1]"},
		"tcp without a port":  {"127.0.0.1:5432", "127.0.0.1", "service.yaml:12: checks[1].tcp.address"},
		"tcp port":            {"127.0.0.1:5432", "127.0.0.1:99999", "service.yaml:12: checks[1].tcp.address"},
		"tcp bare IPv6":       {"127.0.0.1:5432", "::1", "service.yaml:12: checks[1].tcp.address"},
		"url":                 {"http://127.0.0.1:8080/healthz", "127.0.0.1:8080", "service.yaml:9: checks[0].http.url"},
		"too often":           {"500ms", "1ms", "service.yaml:10: checks[0].interval"},
		"no duration":         {"500ms", "500", "service.yaml:10: checks[0].interval"},
		"rise":                {"rise: 3", "rise: -1", "service.yaml:14: checks[1].rise"},
		"argv":                {"[/usr/local/bin/check, --fast]", "[]", "service.yaml:15: checks[2].command.argv"},
		"no shell":            {"[/usr/local/bin/check, --fast]", "check --fast", "service.yaml:15: checks[2].command.argv"},
		"drain":               {"30s", "2h", "service.yaml:16: drainTime"},
		"no YAML":             {"ports: {", "ports: {{", "service.yaml:1"},
		"two documents":       {"drainTime: 30s\n", "---\na: b\n", "service.yaml"},
		"twice":               {"name: web-1", "name: web-1\nname: web-2", "service.yaml:5"},
	} {
		text := strings.Replace(good, c.from, c.to, 1)
		if text == good {
			t.Fatalf("%s: changes nothing", what)
		}
		_, err := parse("service.yaml", []byte(text))
		if err == nil {
			t.Errorf("%s: taken", what)
			continue
		}
		found := false
		var e *weir.Error
		if errors.As(err, &e) {
			for _, p := range e.Problems {
				found = found || strings.Contains(p.String(), c.want)
			}
		}
		if !found {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
	}
}

func FuzzService(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("checks: [{command: {argv: [a]}}]"))
	f.Add([]byte("controlPlane: [https://a]\nca: " + pin + "\ntokenFile: x\nname: a\nchecks: [{tcp: {address: \":\"}}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parse("service.yaml", text)
		if err != nil {
			if s != nil {
				t.Fatal("a mistake, and a service")
			}
			return
		}
		if weir.CheckName(s.Name) != nil || len(s.ControlPlane) == 0 || s.TokenFile == "" || s.DrainTime == nil || *s.DrainTime < 0 {
			t.Fatalf("%+v", s)
		}
		for _, c := range s.Checks {
			if c.Interval.D() < 100*time.Millisecond || c.Timeout <= 0 || c.Rise < 1 || c.Fall < 1 {
				t.Fatalf("%+v", c)
			}
		}
	})
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	list := verdictsOf([]Check{{Name: "app", Rise: 2, Fall: 3}, {Name: "disk", Rise: 1, Fall: 1}})
	step := func(i int, err error, changed, well, decided bool, why string) {
		t.Helper()
		if got := list[i].looked(err); got != changed {
			t.Errorf("changed: %v", got)
		}
		w, d, y := list.sum()
		if w != well && d || d != decided || y != why {
			t.Errorf("well %v, decided %v, %q", w, d, y)
		}
	}
	bad := errors.New("it answers 500")
	step(0, nil, false, false, false, "")
	step(1, nil, true, false, false, "")
	step(0, nil, true, true, true, "")
	step(0, nil, false, true, true, "")
	step(0, bad, false, true, true, "")
	step(0, bad, false, true, true, "")
	step(0, bad, true, false, true, "check app: it answers 500")
	step(0, errors.New("something else"), false, false, true, "check app: it answers 500")
	step(1, errors.New("is\x00 full"), true, false, true, "check app: it answers 500; check disk: is  full")
	step(0, nil, false, false, true, "check app: it answers 500; check disk: is  full")
	step(0, nil, true, false, true, "check disk: is  full")
	step(1, nil, true, true, true, "")
	// One that fails at the start is told before the others have passed.
	list = verdictsOf([]Check{{Name: "app", Rise: 2, Fall: 1}, {Name: "disk", Rise: 9, Fall: 9}})
	step(0, bad, true, false, true, "check app: it answers 500")
	if well, decided, _ := verdictsOf(nil).sum(); !well || !decided {
		t.Error("without checks it is not well")
	}
}

func TestChecks(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/bad", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	mux.Handle("/away", http.RedirectHandler("/ok", http.StatusFound))
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	plain, secure := httptest.NewServer(mux), httptest.NewTLSServer(mux)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	gone := net.JoinHostPort(weirtest.Addr(t), "9") // nobody listens there
	mark := filepath.Join(t.TempDir(), "mark")
	for what, c := range map[string]struct {
		check Check
		want  string
	}{
		"http":             {Check{HTTP: &HTTPCheck{URL: plain.URL + "/ok"}}, ""},
		"https of itself":  {Check{HTTP: &HTTPCheck{URL: secure.URL + "/ok"}}, ""},
		"bad status":       {Check{HTTP: &HTTPCheck{URL: plain.URL + "/bad"}}, "it answers 503, and 200-299 is good"},
		"expected status":  {Check{HTTP: &HTTPCheck{URL: plain.URL + "/bad", Expect: "200,500-503"}}, ""},
		"redirect":         {Check{HTTP: &HTTPCheck{URL: plain.URL + "/away"}}, "it answers 302"},
		"slow":             {Check{HTTP: &HTTPCheck{URL: plain.URL + "/slow"}, Timeout: weir.Duration(50 * time.Millisecond)}, "no answer within 50ms"},
		"nobody":           {Check{HTTP: &HTTPCheck{URL: "http://" + gone + "/"}}, "connection refused"},
		"tcp":              {Check{TCP: &TCPCheck{Address: plain.Listener.Addr().String()}}, ""},
		"tcp, nobody":      {Check{TCP: &TCPCheck{Address: gone}}, "connection refused"},
		"command":          {Check{Command: &CommandCheck{Argv: []string{"true"}}}, ""},
		"command fails":    {Check{Command: &CommandCheck{Argv: []string{"sh", "-c", "echo; echo disk is full >&2; exit 3"}}}, "exit status 3: disk is full"},
		"no such command":  {Check{Command: &CommandCheck{Argv: []string{"/nonexistent/check"}}}, "no such file"},
		"command hangs":    {Check{Command: &CommandCheck{Argv: []string{"sh", "-c", "sleep 300 & sleep 300"}}, Timeout: weir.Duration(50 * time.Millisecond)}, "no answer within 50ms"},
		"command is noisy": {Check{Command: &CommandCheck{Argv: []string{"sh", "-c", "yes " + strings.Repeat("x", 500) + " | head -c 100000; exit 1"}}}, "…"},
		"no shell":         {Check{Command: &CommandCheck{Argv: []string{"true", "; touch " + mark}}}, ""},
		"command dies":     {Check{Command: &CommandCheck{Argv: []string{"sh", "-c", "kill -SEGV $$"}}}, "signal: segmentation fault"},
		"leaves its child": {Check{Command: &CommandCheck{Argv: []string{"sh", "-c", "sleep 300 & exit 0"}}}, ""},
		"fails and leaves": {Check{Command: &CommandCheck{Argv: []string{"sh", "-c", "setsid sleep 5 & echo no disk; exit 1"}}}, "exit status 1: no disk"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			check := c.check
			if check.Timeout == 0 {
				check.Timeout = weir.Duration(20 * time.Second)
			}
			check.fill()
			err := check.look(context.Background())
			switch {
			case err == nil && c.want != "":
				t.Errorf("passes, want %s", c.want)
			case err != nil && (c.want == "" || !strings.Contains(printable(err.Error()), c.want)):
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("a shell has read the arguments")
	}
}

// TestStopWithoutARegistration: who was never let in, for a wrong pin say, neither drains nor withdraws.
func TestStopWithoutARegistration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := &Service{ControlPlane: []string{"https://127.0.0.1:1"}, CA: pin, TokenFile: filepath.Join(dir, "token"), Name: "web-1", DrainTime: new(weir.Duration(time.Hour))}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{Service: s, State: filepath.Join(dir, "state"), Log: slog.New(slog.DiscardHandler)})
	}()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("it drains for an hour what takes no traffic")
	}
}

// TestNothingIsLeftOfACheck: a program that goes into the background fills no machine.
func TestNothingIsLeftOfACheck(t *testing.T) {
	t.Parallel()
	pid := filepath.Join(t.TempDir(), "pid")
	check := Check{Command: &CommandCheck{Argv: []string{"sh", "-c", "sleep 300 & echo $! > " + pid}}, Timeout: weir.Duration(20 * time.Second)}
	check.fill()
	if err := check.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	weirtest.Eventually(t, 10*time.Second, func() error {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(text)) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") || strings.Contains(string(stat), ") X ") {
			return nil
		}
		return errors.New("it runs: " + string(stat))
	})
}

// TestStateFolder: what is kept is found again, under the same pin and name only, and is nobody else's to read.
func TestStateFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	id, err := openState(dir, "web-1", pin)
	if err != nil || id.cert != nil {
		t.Fatalf("%+v, %v", id, err)
	}
	again, err := openState(dir, "web-1", pin)
	if err != nil || !again.key.Public().(*ecdsa.PublicKey).Equal(id.key.Public()) {
		t.Errorf("another key: %v", err)
	}
	if err := os.Chmod(filepath.Join(dir, "agent.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := openState(dir, "web-1", pin); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read is used: %v", err)
	}
}
