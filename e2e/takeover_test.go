package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/agent"
	"weir/internal/hapctl"
	"weir/internal/link"
	"weir/internal/weirtest"
)

// unit is a HAProxy that somebody else looks after, started as systemd's unit of Debian does: a configuration of somebody's
// own, a folder of more that is empty, and the master's socket.
type unit struct {
	w       *world
	haproxy weirtest.HAProxy
	dir     string
	found   string
	socket  string // what else stands after the path of the master's socket
	process *weirtest.Process
}

// newUnit starts a HAProxy that serves host at port 8080 of the address at 17 from the origin at 200.
func (w *world) newUnit(h weirtest.HAProxy, more string, edit ...func(*unit)) *unit {
	w.t.Helper()
	u := &unit{w: w, haproxy: h, dir: filepath.Join(w.dir, "etc")}
	for _, f := range edit {
		f(u)
	}
	if err := os.MkdirAll(filepath.Join(u.dir, "conf.d"), 0o755); err != nil {
		w.t.Fatal(err)
	}
	u.found = fmt.Sprintf(`# by hand
global
  maxconn 2000
  stats socket %[1]s/own.sock mode 600 level admin
defaults
  mode http
  timeout connect 10s
  timeout check 10s
  timeout client 30s
  timeout server 30s
  timeout check 10s
  option idle-close-on-response
frontend www
  bind %[2]s:8080
  default_backend web
%[4]sbackend web
  option httpchk GET /ping
  server web1 %[3]s:9000 check inter 200ms fall 20
`, u.dir, w.at(17), w.at(200), more)
	u.write(u.found)
	u.start()
	return u
}

func (u *unit) path(name string) string { return filepath.Join(u.dir, name) }

func (u *unit) write(text string) {
	u.w.t.Helper()
	if err := os.WriteFile(u.path("haproxy.cfg"), []byte(text), 0o640); err != nil {
		u.w.t.Fatal(err)
	}
}

func (u *unit) text() string {
	u.w.t.Helper()
	text, err := os.ReadFile(u.path("haproxy.cfg"))
	if err != nil {
		u.w.t.Fatal(err)
	}
	return string(text)
}

// start is what systemd does when it starts the unit, also after its end.
func (u *unit) start() {
	u.process = weirtest.Command(u.w.t, u.haproxy.Path, "-Ws", "-f", u.path("haproxy.cfg"), "-f", u.path("conf.d"),
		"-p", u.path("pid"), "-S", u.path("master.sock")+u.socket)
}

// end is what systemd does when it stops the unit, or when all of it dies.
func (u *unit) end() { u.process.Kill() }

// worker is the process that answers at the socket of Weir's configuration.
func (u *unit) worker(a *runningAgent) int {
	u.w.t.Helper()
	pid, err := u.answers(a)
	if err != nil {
		u.w.t.Fatal(err)
	}
	return pid
}

func (u *unit) answers(a *runningAgent) (worker int, err error) {
	client := hapctl.NewClient(filepath.Join(a.folder(), "run", "admin.sock"))
	defer client.Close()
	return client.Pid(u.w.t.Context())
}

func (u *unit) options(o *agent.Options) {
	o.StopWithAgent = false
	o.TakeOver = agent.TakeOver{Master: u.path("master.sock"), Config: u.path("haproxy.cfg")}
}

// joinUnit makes a load balancer of the unit's HAProxy and runs its agent.
func (w *world) joinUnit(u *unit, edit ...func(*agent.Options)) *runningAgent {
	w.t.Helper()
	a := &runningAgent{name: "lb1", dir: filepath.Join(w.dir, "lb1"), haproxy: u.haproxy}
	a.edit = func(o *agent.Options) {
		u.options(o)
		for _, f := range edit {
			f(o)
		}
	}
	w.joinAs(a, "edge", "az1", "")
	return a
}

// runs waits until the load balancer says of itself that it is in a state, in words.
func (w *world) runs(state, words string) {
	w.t.Helper()
	weirtest.Eventually(w.t, waitLong, func() error {
		lb := w.status().Groups[0].LoadBalancers[0]
		if lb.Run != state || !strings.Contains(lb.Message, words) {
			return fmt.Errorf("it is %q: %s", lb.Run, lb.Message)
		}
		return nil
	})
}

// TestTakesOverAHAProxyOfSystemd: no request fails while an agent takes over a HAProxy that serves, while it is changed at run
// time, while the agent is killed and comes back, and while HAProxy is handed back. When systemd starts HAProxy anew, with or
// without an agent, it has Weir's state.
func TestTakesOverAHAProxyOfSystemd(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		w.origin(201, "web2")
		u := w.newUnit(h, "")
		at := w.at(17).String() + ":8080"
		w.serves(at, "www.example.com", "/")
		w.apply(w.twoServers())
		clients := w.send(at, "www.example.com")
		clients.more(100)
		master := u.process.Pid()
		a := w.joinUnit(u)
		w.converged(1)
		clients.more(100)
		w.onlyFrom(at, "www.example.com", "web1", "web2")
		if text := u.text(); !strings.Contains(text, filepath.Join(a.dir, "haproxy")) {
			t.Fatalf("the configuration in place is not Weir's:\n%s", text)
		}
		if info, err := os.Stat(u.path("haproxy.cfg")); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("the configuration's mode: %v %v", info.Mode(), err)
		}
		if n := w.reloads(); n != 1 {
			t.Errorf("%d reloads, the take-over is one", n)
		}
		worker := u.worker(a)
		// Run time as ever.
		w.converged(w.apply(override("state: drain", time.Now().Add(time.Hour))))
		w.onlyFrom(at, "www.example.com", "web2")
		// The agent's own restart moves nothing.
		a.stop()
		w.startAgent(a)
		w.converged(1)
		w.converged(w.apply(override("state: drain", time.Now().Add(2*time.Hour))))
		if now := u.worker(a); now != worker {
			t.Errorf("worker %d, before the agent began anew %d", now, worker)
		}
		clients.more(100)
		// Handed back.
		a.stop()
		if _, err := agent.HandBack(t.Context(), a.dir, agent.HandBackOptions{}); err != nil {
			t.Fatal(err)
		}
		if u.text() != u.found {
			t.Errorf("the configuration that was found is not in place:\n%s", u.text())
		}
		clients.more(100)
		w.onlyFrom(at, "www.example.com", "web1")
		clients.flawless()
		if u.process.Pid() != master || u.process.Signal(syscall.Signal(0)) != nil {
			t.Error("HAProxy was started anew")
		}
		w.startAgent(a)
		w.runs(string(link.HandedBack), "weir agent handback --undo")
	})
}

// TestHAProxyOfSystemdComesAndGoes: the agent never starts it; it says that it is gone and keeps the files, so that whoever
// starts it starts what is wanted by then.
func TestHAProxyOfSystemdComesAndGoes(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		w.origin(201, "web2")
		u := w.newUnit(h, "")
		at := w.at(17).String() + ":8080"
		w.serves(at, "www.example.com", "/")
		w.apply(w.twoServers())
		a := w.joinUnit(u)
		w.converged(1)
		u.end()
		w.runs(string(link.Starting), "systemctl start haproxy")
		drained := w.apply(override("state: drain", time.Now().Add(time.Hour)))
		weirtest.Eventually(t, waitLong, func() error {
			if text := u.text(); !strings.Contains(text, "weight 0") {
				return fmt.Errorf("the file does not have what is wanted:\n%s", text[max(0, len(text)-400):])
			}
			return nil
		})
		u.start()
		w.converged(drained)
		w.onlyFrom(at, "www.example.com", "web2")
		// Booted without an agent.
		a.stop()
		u.end()
		u.start()
		w.onlyFrom(at, "www.example.com", "web2")
		w.startAgent(a)
		w.converged(drained)
		w.onlyFrom(at, "www.example.com", "web2")
	})
}

// TestTakeOverIsRefused: what would no longer be served, and what does not suit, is said, and nothing is touched.
func TestTakeOverIsRefused(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	w := newWorld(t)
	w.origin(200, "web1")
	u := w.newUnit(h, fmt.Sprintf("listen stats\n  bind %s:8404\n  stats enable\n", w.at(17)))
	w.serves(w.at(17).String()+":8080", "www.example.com", "/")
	w.apply(w.oneZone())
	if err := os.WriteFile(u.path("conf.d/more.cfg"), []byte("listen more\n  mode http\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var letGo []string
	a := w.joinUnit(u, func(o *agent.Options) { o.TakeOver.LetGo = letGo })
	w.runs(string(link.Starting), "more.cfg, which Weir would not replace")
	if err := os.Remove(u.path("conf.d/more.cfg")); err != nil {
		t.Fatal(err)
	}
	lost := w.at(17).String() + ":8404"
	w.runs(string(link.Starting), "nobody would answer any more at "+lost)
	if u.text() != u.found {
		t.Error("the configuration was touched")
	}
	a.stop()
	letGo = []string{lost}
	w.startAgent(a)
	w.converged(1)
	w.onlyFrom(w.at(17).String()+":8080", "www.example.com", "web1")
	if status, _, err := w.get(lost, "x", "/"); err == nil {
		t.Errorf("%s answers still: %d", lost, status)
	}
}

// ordinary is an account that is nobody's here, for an agent that is not root; the test's own when that is none either.
func ordinary() uint32 {
	if os.Geteuid() != 0 {
		return uint32(os.Geteuid())
	}
	return 64711
}

// runAs runs the agent in a process of its own, as an ordinary user.
func (w *world) runAs(a *runningAgent, u *unit) *weirtest.Process {
	w.t.Helper()
	var o agent.Options
	u.options(&o)
	text, err := json.Marshal(agentProcess{Dir: a.dir, HAProxy: a.haproxy.Path, URL: w.url, TakeOver: o.TakeOver})
	if err != nil {
		w.t.Fatal(err)
	}
	return weirtest.CommandFunc(w.t, func(cmd *exec.Cmd) {
		cmd.Env = append(os.Environ(), agentOptions+"="+string(text))
		if os.Geteuid() == 0 {
			cmd.SysProcAttr.Credential = &syscall.Credential{Uid: ordinary(), Gid: ordinary()}
		}
	}, w.copyOfTest())
}

// copyOfTest gives this program where every user may run it.
func (w *world) copyOfTest() string {
	w.t.Helper()
	path := filepath.Join(w.dir, "agent")
	program, err := os.ReadFile(os.Args[0])
	if err == nil && !exists(path) {
		err = os.WriteFile(path, program, 0o755)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// giveTo makes all of a folder somebody's.
func (w *world) giveTo(user uint32, dir string) {
	w.t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, int(user), int(user)))
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestTakenOverByAnOrdinaryUser: an agent that is not root takes over a HAProxy whose master is, is killed and comes back without
// a request lost or a worker replaced, and root hands HAProxy back.
func TestTakenOverByAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		w.origin(201, "web2")
		if err := os.Chmod(w.dir, 0o711); err != nil {
			t.Fatal(err)
		}
		u := w.newUnit(h, "", func(u *unit) { u.socket = fmt.Sprintf(",mode,660,gid,%d", ordinary()) })
		at := w.at(17).String() + ":8080"
		w.serves(at, "www.example.com", "/")
		w.apply(w.twoServers())
		a := &runningAgent{name: "lb1", dir: filepath.Join(w.dir, "lb1"), haproxy: h}
		w.enrol(a, "edge", "az1", "")
		w.giveTo(ordinary(), a.dir)
		if err := errors.Join(os.Chown(u.path("haproxy.cfg"), -1, int(ordinary())), os.Chmod(u.dir, 0o555)); err != nil {
			t.Fatal(err)
		}
		p := w.runAs(a, u)
		w.runs(string(link.Starting), "may not make files in "+u.dir)
		if u.text() != u.found {
			t.Error("the configuration was touched")
		}
		if err := errors.Join(os.Chown(u.dir, -1, int(ordinary())), os.Chmod(u.dir, 0o775)); err != nil {
			t.Fatal(err)
		}
		clients := w.send(at, "www.example.com")
		clients.more(50)
		w.converged(1)
		w.onlyFrom(at, "www.example.com", "web1", "web2")
		worker := u.worker(a)
		for i := range 3 {
			p.Kill()
			clients.more(20)
			p = w.runAs(a, u)
			w.converged(w.apply(override(fmt.Sprintf("weight: %d", 10+i), time.Now().Add(time.Hour))))
			if now := u.worker(a); now != worker {
				t.Errorf("worker %d, before the agent was killed %d", now, worker)
			}
		}
		p.Kill()
		if _, err := agent.HandBack(t.Context(), a.dir, agent.HandBackOptions{}); err != nil {
			t.Fatal(err)
		}
		clients.more(50)
		clients.flawless()
		if info, err := os.Stat(u.path("haproxy.cfg")); err != nil || u.text() != u.found || info.Sys().(*syscall.Stat_t).Uid != uint32(os.Geteuid()) {
			t.Errorf("in place is not what was found: %v\n%s", err, u.text())
		}
		w.runAs(a, u)
		w.runs(string(link.HandedBack), "handback --undo")
		if left, err := filepath.Glob(u.path(".*")); err != nil || len(left) > 0 {
			t.Errorf("beside the configuration lie %v %v", left, err)
		}
	})
}

// TestHAProxyDoesNotTakeIt: another program has a port that the configuration that was found names but does not use. HAProxy
// refuses to load Weir's, has its own again, and no object is blamed.
func TestHAProxyDoesNotTakeIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.origin(200, "web1")
	taken, err := net.Listen("tcp", w.at(18).String()+":8080")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	u := w.newUnit(weirtest.HAProxies(t)[0], fmt.Sprintf("frontend off\n  bind %s:8080\n  disabled\n", w.at(18)))
	at := w.at(17).String() + ":8080"
	w.serves(at, "www.example.com", "/")
	w.apply(w.oneZone())
	a := w.joinUnit(u)
	w.runs(string(link.Starting), "it did not take Weir's: ")
	if u.text() != u.found {
		t.Errorf("in place is not what was found:\n%s", u.text())
	}
	w.serves(at, "www.example.com", "/")
	if lb := w.status().Groups[0].LoadBalancers[0]; lb.Quarantined > 0 {
		t.Errorf("%d resources are in quarantine", lb.Quarantined)
	}
	a.stop()
	taken.Close()
	w.startAgent(a)
	w.converged(1)
	w.onlyFrom(at, "www.example.com", "web1")
}
