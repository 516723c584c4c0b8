package bench

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/secrets"
	"weir/internal/weirtest"
)

// fleet is a control plane and its load balancers, each a process of its own as the weir program runs it, with a
// HAProxy each.
type fleet struct {
	t      *testing.T
	loop   *loop
	where  place
	dir    string
	memory string // a folder in memory, for ticket keys
	binary string
	url    string
	token  string
	ca     string // hash of the control plane's
	client *http.Client
	size   int // load balancers
	// processes by name: "server", "lb-az1-1", …
	processes map[string]*weirtest.Process
}

const (
	fleetSize  = 6
	fleetPort  = 18080 // not one that people try things at
	originPort = 9000
)

func fleetZone(lb int) string { return zones[lb/2] }

func fleetName(lb int) string { return fmt.Sprintf("lb-%s-%d", fleetZone(lb), lb%2+1) }

// fleetRange is the part of the test's network that load balancer lb has for the group's range, and fleetVIP
// the site's address in its own zone there.
func (f *fleet) fleetRange(lb int) netip.Prefix {
	return netip.PrefixFrom(f.where.at(byte(16*lb+16)), 28)
}

func (f *fleet) fleetVIP(lb int) netip.AddrPort {
	return netip.AddrPortFrom(f.where.at(byte(16*lb+17+lb/2)), fleetPort)
}

// startFleet runs all of it and returns when every load balancer was read back. The loop goes on meanwhile.
func startFleet(t *testing.T, l *loop) *fleet {
	t.Helper()
	f := startControlPlane(t, l, fleetSize)
	for lb := range fleetSize {
		f.startLoadBalancer(lb)
	}
	f.eventually("all load balancers are read back", 60*time.Second, f.converged)
	return f
}

// startControlPlane runs the control plane and declares what so many load balancers need to join.
func startControlPlane(t *testing.T, l *loop, size int) *fleet {
	t.Helper()
	f := &fleet{t: t, loop: l, size: size, where: place{weirtest.Prefix(t)}, dir: weirtest.TempDir(t), memory: weirtest.MemoryDir(t), processes: map[string]*weirtest.Process{}}
	f.build()
	f.startServer()
	f.must(http.MethodPost, "apply?reason=bench", f.platform())
	return f
}

func (f *fleet) build() {
	f.t.Helper()
	f.binary = filepath.Join(f.dir, "weir")
	build := exec.CommandContext(f.t.Context(), "go", "build", "-o", f.binary, "./cmd/weir")
	build.Dir = weirtest.Root(f.t)
	if out, err := build.CombinedOutput(); err != nil {
		f.t.Fatalf("build weir: %v\n%s", err, out)
	}
}

// run starts the weir program with a log file of its own.
func (f *fleet) run(name string, args ...string) {
	f.t.Helper()
	f.runIn("", name, f.binary, args...)
}

// runIn starts a program in a folder, with a log file of its own.
func (f *fleet) runIn(dir, name, program string, args ...string) {
	f.t.Helper()
	log, err := os.Create(filepath.Join(f.dir, name+".log"))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		_ = log.Close()
		if f.t.Failed() {
			f.t.Logf("%s wrote:\n%s", name, lastLines(log.Name(), 12))
		}
		if keep := os.Getenv("WEIR_BENCH_LOGS"); keep != "" {
			if raw, err := os.ReadFile(log.Name()); err == nil {
				_ = os.WriteFile(filepath.Join(keep, name+".log"), raw, 0o600)
			}
		}
	})
	f.processes[name] = weirtest.CommandFunc(f.t, func(c *exec.Cmd) { c.Dir, c.Stdout, c.Stderr = dir, log, log }, program, args...)
}

func lastLines(path string, n int) string {
	raw, _ := os.ReadFile(path)
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func (f *fleet) startServer() {
	f.t.Helper()
	host, data := f.where.at(1), filepath.Join(f.dir, "server")
	f.url = fmt.Sprintf("https://%s:7443", host)
	f.run("server", "server", "--data-dir", data, "--listen", host.String()+":7443", "--metrics-listen", "", "--discovery-destinations", "127.0.0.0/8", "--discovery-files", f.lists())
	f.eventually("the control plane answers", 30*time.Second, func() error {
		text, err := os.ReadFile(filepath.Join(data, "admin.token"))
		if err != nil {
			return err
		}
		raw, err := os.ReadFile(filepath.Join(data, "ca.crt"))
		if err != nil {
			return err
		}
		block, _ := pem.Decode(raw)
		if block == nil {
			return errors.New("ca.crt holds no certificate")
		}
		ca, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return err
		}
		f.ca = secrets.CAHash(ca)
		config, err := secrets.ClientTLS(secrets.ClientConfig{ServerName: host.String(), CAHash: f.ca, Now: time.Now})
		if err != nil {
			return err
		}
		f.token = strings.TrimSpace(string(text))
		f.client = &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}, Timeout: 20 * time.Second}
		_, err = f.call(http.MethodGet, "whoami", "")
		return err
	})
}

// lists is the folder of what discovery sources read.
func (f *fleet) lists() string {
	dir := filepath.Join(f.dir, "lists")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		f.t.Fatal(err)
	}
	return dir
}

// startLoadBalancer enrols one and runs its agent.
func (f *fleet) startLoadBalancer(lb int) {
	f.t.Helper()
	name := fleetName(lb)
	answer := f.must(http.MethodPost, "tokens", fmt.Sprintf(
		`{"kind":"Token","metadata":{"name":"join-%[1]s"},"spec":{"subject":"agent:%[1]s","join":{"group":"edge","zone":%[2]q,"loadBalancer":%[1]q,"localRanges":{"203.0.113.0/28":%[3]q},"localPorts":{"80":%[4]d,"443":%[5]d}}}}`,
		name, fleetZone(lb), f.fleetRange(lb), fleetPort, certsPort))
	var made struct{ Token string }
	if err := json.Unmarshal(answer, &made); err != nil {
		f.t.Fatal(err)
	}
	join := filepath.Join(f.dir, name+".join")
	if err := os.WriteFile(join, []byte(made.Token), 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.run(name, append(f.agentArgs(name), "--name", name, "--join-file", join)...)
}

// agentArgs start the agent of a load balancer that has joined.
func (f *fleet) agentArgs(name string) []string {
	return []string{"agent", "--dir", filepath.Join(f.dir, name), "--server", f.url, "--haproxy", f.haproxy(), "--stop-haproxy", "--ticket-keys-dir", filepath.Join(f.memory, name)}
}

// haproxy is the newest version's program.
func (f *fleet) haproxy() string { return weirtest.HAProxies(f.t)[0].Path }

// call sends a request to the API and gives the answer's body.
func (f *fleet) call(method, path, body string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), f.client.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, f.url+"/api/v1/"+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+f.token)
	request.Header.Set("Content-Type", "application/yaml")
	if strings.HasPrefix(body, "{") {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := f.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s %s", method, path, answer.Status, bytes.TrimSpace(raw))
	}
	return raw, err
}

func (f *fleet) must(method, path, body string) []byte {
	f.t.Helper()
	raw, err := f.call(method, path, body)
	if err != nil {
		f.t.Fatal(err)
	}
	return raw
}

// converged says who is not yet what is wanted.
func (f *fleet) converged() error {
	raw, err := f.call(http.MethodGet, "status", "")
	if err != nil {
		return err
	}
	var status struct {
		Groups []struct {
			Name      string
			Ready, Of int
			Laggards  []string
		}
	}
	if err := json.Unmarshal(raw, &status); err != nil {
		return err
	}
	for _, g := range status.Groups {
		if g.Of != f.size || g.Ready < g.Of {
			return fmt.Errorf("group %s: %d of %d, without %q", g.Name, g.Ready, g.Of, g.Laggards)
		}
	}
	return nil
}

// reloads are those of all load balancers, ever.
func (f *fleet) reloads() int {
	var status struct {
		Groups []struct {
			LoadBalancers []struct{ Reloads struct{ Count int } }
		}
	}
	if err := json.Unmarshal(f.must(http.MethodGet, "status", ""), &status); err != nil {
		f.t.Fatal(err)
	}
	total := 0
	for _, g := range status.Groups {
		for _, lb := range g.LoadBalancers {
			total += lb.Reloads.Count
		}
	}
	return total
}

// eventually turns the loop until try works, at most so long.
func (f *fleet) eventually(what string, most time.Duration, try func() error) {
	f.t.Helper()
	for end := time.Now().Add(most); ; {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			f.t.Fatalf("wait until %s: %v", what, err)
		}
		f.rest(50 * time.Millisecond)
	}
}

// rest turns the loop for a while, so that the origins answer checks.
func (f *fleet) rest(d time.Duration) {
	f.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		if err := f.loop.turn(time.Until(end) + time.Millisecond); err != nil {
			f.t.Fatal(err)
		}
	}
}
