package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir"
	"weir/internal/register"
	"weir/internal/weirtest"
)

// serviceFile, when set, makes the test binary a server that registers itself, as weir register does.
const serviceFile = "WEIR_E2E_SERVICE"

func beRegistrant(file string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	service, err := register.Read(file)
	if err != nil {
		return err
	}
	return register.Run(ctx, register.Options{Service: service, State: filepath.Dir(file), Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
}

// registrant is a server that registers itself, in a process of its own, as long as a file is there.
type registrant struct {
	w       *world
	name    string
	file    string // of the service
	well    string // the file that its check looks for
	process *weirtest.Process
}

// registrant lays down what web-N at an address of the test's own needs; start starts it.
func (w *world) registrant(name string, host int, token string) *registrant {
	w.t.Helper()
	dir := weirtest.TempDir(w.t)
	r := &registrant{w: w, name: name, file: filepath.Join(dir, "service.yaml"), well: filepath.Join(dir, "well")}
	urls := w.urls
	if urls == nil {
		urls = []string{w.url}
	}
	list, err := json.Marshal(urls)
	if err != nil {
		w.t.Fatal(err)
	}
	for file, text := range map[string]string{
		filepath.Join(dir, "register.token"): token, r.well: "",
		r.file: fmt.Sprintf(`controlPlane: %s
ca: %s
tokenFile: register.token
name: %s
address: %s
ports: {http: 9000}
checks:
- name: app
  http: {url: http://%[4]s:9000/ping}
  interval: 300ms
  timeout: 20s
- name: file
  command: {argv: [test, -e, %[5]s]}
  interval: 300ms
  timeout: 20s
drainTime: 1s
`, list, w.caHash, name, w.at(host), r.well),
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	return r
}

func (r *registrant) start() *registrant {
	r.w.t.Helper()
	binary, err := os.Executable()
	if err != nil {
		r.w.t.Fatal(err)
	}
	r.process = weirtest.CommandFunc(r.w.t, func(c *exec.Cmd) { c.Env = append(os.Environ(), serviceFile+"="+r.file) }, binary)
	return r
}

// is waits until the control plane has a server in a state, and gives its registration.
func (r *registrant) is(state string) weir.Registration {
	r.w.t.Helper()
	var last weir.Registration
	weirtest.Eventually(r.w.t, waitLong, func() error {
		var o struct {
			Spec struct{ Registration weir.Registration }
		}
		if _, err := r.w.call("GET", "/api/v1/servers/"+r.name, "", &o); err != nil {
			return err
		}
		if last = o.Spec.Registration; last.State != state {
			return fmt.Errorf("%s is %+v, want %s", r.name, last, state)
		}
		return nil
	})
	return last
}

// wrote waits until a registrant has said something.
func (r *registrant) wrote(words string) {
	r.w.t.Helper()
	weirtest.Eventually(r.w.t, waitLong, func() error {
		if !strings.Contains(r.process.Output(), words) {
			return fmt.Errorf("%s does not say %q: %s", r.name, words, r.process.Output())
		}
		return nil
	})
}

func (w *world) registrationToken(name string, clusters ...string) string {
	w.t.Helper()
	var made struct{ Token string }
	_, err := w.call("POST", "/api/v1/tokens", fmt.Sprintf("kind: Token\nmetadata: {name: %s}\nspec: {subject: registration, registration: {role: web, zone: az1, clusters: [%s], names: [web-*], networks: [%s]}}", name, strings.Join(clusters, ", "), w.prefix), &made)
	if err != nil {
		w.t.Fatal(err)
	}
	return made.Token
}

// newRegistering is newWorld with a short lease, on an etcd outside if one is given.
// registrationLease is three times what a busy machine may keep a server from saying that it is there.
const registrationLease = 6 * time.Second

func newRegistering(t *testing.T, on ...*weirtest.Etcd) *world {
	w := &world{t: t, dir: weirtest.TempDir(t), memory: weirtest.MemoryDir(t), prefix: weirtest.Prefix(t), host: 1, lists: weirtest.TempDir(t), agents: map[string]*runningAgent{}, lease: registrationLease}
	if len(on) > 0 {
		w.etcd = on[0]
	}
	w.log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	w.startServer()
	return w
}

// registeredZone is oneZone with servers that register themselves alone, in a pool that asks for that and a check, and in
// one that asks for no check.
func (w *world) registeredZone() string {
	before, after, _ := strings.Cut(w.oneZone(), "kind: Server\n")
	_, after, _ = strings.Cut(after, "---\n")
	after = strings.Replace(after, "port: http,", "port: http, admission: both,", 1)
	return before + after + `---
kind: Pool
metadata: {name: unchecked, role: web}
spec: {selector: {role: web}, port: http, admission: registration, healthCheck: {path: /ping, interval: 200ms, rise: 1}}
---
kind: Site
metadata: {name: other, role: web}
spec: {hostnames: [other.example.com], addresses: [www], listeners: [{port: 8080}], backends: {default: unchecked}}
`
}

// TestServersRegisterThemselves: real processes beside real services, and what clients see of their coming and going.
func TestServersRegisterThemselves(t *testing.T) {
	t.Parallel() // it mostly waits
	h := weirtest.HAProxies(t)[0]
	w := newRegistering(t)
	w.apply(w.registeredZone())
	token := w.registrationToken("web")
	w.join("lb1", "edge", "az1", h, "")
	var servers []*registrant
	for i := range 3 {
		name := fmt.Sprintf("web-%d", i+1)
		w.origin(200+i, name)
		servers = append(servers, w.registrant(name, 200+i, token).start())
	}
	at := w.at(17).String() + ":8080"
	both := func(names ...string) {
		t.Helper()
		w.onlyFrom(at, "www.example.com", names...)
		w.onlyFrom(at, "other.example.com", names...)
	}
	both("web-1", "web-2", "web-3")
	clients, others := w.send(at, "www.example.com"), w.send(at, "other.example.com")

	// Told to stop, it drains first: not one request fails.
	clients.more(50)
	if err := servers[2].process.Stop(); err != nil {
		t.Errorf("weir register: %v", err)
	}
	both("web-1", "web-2")
	if is := servers[2].is(weir.RegistrationWithdrawn); is.Reason != "its agent was stopped" {
		t.Errorf("%+v", is)
	}
	servers[2].start()
	both("web-1", "web-2", "web-3")

	// A check of its own fails, though HAProxy sees nothing.
	if err := os.Remove(servers[2].well); err != nil {
		t.Fatal(err)
	}
	if is := servers[2].is(weir.RegistrationWithdrawn); is.Reason != "check file: exit status 1" {
		t.Errorf("%+v", is)
	}
	both("web-1", "web-2")

	// The machine of one dies: it is out when its lease has run out. When the last one does, the floor keeps both.
	servers[1].process.Kill()
	servers[1].is(weir.RegistrationStale)
	both("web-1")
	servers[0].process.Kill()
	servers[0].is(weir.RegistrationStale)
	both("web-1", "web-2")
	servers[0].start()
	servers[0].is(weir.RegistrationHealthy)
	both("web-1")

	// Without a control plane nothing changes, nor when it is back.
	servers[1].start()
	since := servers[0].is(weir.RegistrationHealthy).Since
	both("web-1", "web-2")
	w.stopServer()
	servers[0].wrote("can't tell the control plane")
	servers[1].wrote("can't tell the control plane")
	clients.more(50)
	w.startServer()
	servers[0].wrote("hears this server again")
	servers[1].wrote("hears this server again")
	both("web-1", "web-2")
	if is := servers[0].is(weir.RegistrationHealthy); !is.Since.Equal(since) {
		t.Errorf("it changed at %s: %+v", is.Since, is)
	}

	// Without their token they can't say anything, and the floor keeps them; another one takes over.
	if _, err := w.call("DELETE", "/api/v1/tokens/web", "", nil); err != nil {
		t.Fatal(err)
	}
	servers[0].wrote("the registration token is not known")
	servers[0].is(weir.RegistrationStale)
	servers[1].is(weir.RegistrationStale)
	both("web-1", "web-2")
	next := w.registrationToken("next")
	for _, r := range servers[:2] {
		if err := os.WriteFile(filepath.Join(filepath.Dir(r.file), "register.token"), []byte(next), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if is := servers[0].is(weir.RegistrationHealthy); is.By != "registration/next" {
		t.Errorf("%+v", is)
	}
	clients.flawless()
	others.flawless()
	for _, r := range servers {
		if out := r.process.Output(); strings.Contains(out, token) || strings.Contains(out, strings.Split(token, "_")[2]) {
			t.Errorf("%s has told its token", r.name)
		}
	}
}

// TestRegistrationsOfTwoControlPlanes: either is told, either may go, and one of them marks who falls silent.
func TestRegistrationsOfTwoControlPlanes(t *testing.T) {
	t.Parallel()
	one, two := newCluster(t)
	for _, w := range []*world{one, two} {
		w.stopServer()
		w.lease = registrationLease
		w.startServer()
	}
	one.apply(one.registeredZone())
	token := one.registrationToken("web")
	one.origin(200, "web-1")
	one.origin(201, "web-2")
	a, b := one.registrant("web-1", 200, token).start(), one.registrant("web-2", 201, token).start()
	since := a.is(weir.RegistrationHealthy).Since
	b.is(weir.RegistrationHealthy)
	one.stopServer()
	a.w, b.w = two, two
	b.process.Kill()
	b.is(weir.RegistrationStale)
	if is := a.is(weir.RegistrationHealthy); !is.Since.Equal(since) {
		t.Errorf("%+v", is)
	}
	one.startServer()
	two.stopServer()
	a.w, b.w = one, one
	b.start()
	b.is(weir.RegistrationHealthy)
	if is := a.is(weir.RegistrationHealthy); !is.Since.Equal(since) {
		t.Errorf("%+v", is)
	}
}
