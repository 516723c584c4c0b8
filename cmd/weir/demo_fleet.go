package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/secrets"
)

//go:embed demo/objects.yaml
var demoObjects string

// demoNames are the load balancers, two a zone.
func demoNames() []string {
	var names []string
	for zone := 1; zone <= 3; zone++ {
		for n := 1; n <= 2; n++ {
			names = append(names, fmt.Sprintf("lb-az%d-%d", zone, n))
		}
	}
	return names
}

func demoZone(i int) int { return i/2 + 1 }

// vip is where load balancer i has the address of its own zone.
func (d *demo) vip(i int) string { return fmt.Sprintf("%s.%d.%d", d.base, 11+i, demoZone(i)) }

// web is where load balancer i answers HTTP.
func (d *demo) web(i int) string { return fmt.Sprintf("%s:%d", d.vip(i), d.ports.http) }

// demoPorts are what the demo's load balancers and origins listen at.
type demoPorts struct{ http, https, ldap, origin int }

// plainPorts are those that the README shows; the others are for machines where something has one of them on all
// addresses.
var (
	plainPorts = demoPorts{http: 8080, https: 8443, ldap: 3890, origin: 9000}
	otherPorts = demoPorts{http: 18080, https: 18443, ldap: 13890, origin: 19000}
)

// freePlace finds a part of the loopback network from 127.from to before 127.to, and ports, that nobody listens at, so that demos don't meet. It is
// kept for the caller, as long as that does not close the listener, from demos that begin at the same moment.
func freePlace(from, to int, choices ...demoPorts) (string, demoPorts, net.Listener, error) {
	var taken error
	for _, ports := range choices {
		for n := from; n < to; n++ {
			base := fmt.Sprintf("127.%d", n)
			reserved, err := net.Listen("tcp", base+".0.1:7442")
			if err == nil {
				if err = ports.free(base); err == nil {
					return base, ports, reserved, nil
				}
				_ = reserved.Close()
			}
			taken = err
		}
	}
	return "", demoPorts{}, nil, fmt.Errorf("find addresses: end what listens at a port of the demo on every part of loopback, or another demo: %w", taken)
}

// free says at which address of a part of loopback something listens already.
func (p demoPorts) free(base string) error {
	for _, at := range []struct {
		host string
		port int
	}{{".0.1", 7443}, {".0.1", 7444}, {".11.1", p.http}, {".16.3", p.https}, {".13.2", p.ldap}, {".201.1", p.origin}} {
		l, err := net.Listen("tcp", base+at.host+":"+strconv.Itoa(at.port))
		if err != nil {
			return err
		}
		_ = l.Close()
	}
	return nil
}

// child is a process of the demo.
type child struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}
}

// start runs this program with other arguments; its log goes to a file. The child dies with the demo.
func (d *demo) start(name string, env []string, args ...string) (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(d.path(name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	c := &child{name: name, cmd: exec.Command(exe, args...), done: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr, c.cmd.Env = log, log, append(os.Environ(), env...)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	started := make(chan error)
	go func() {
		// The kernel ends the child when the thread that started it ends, so that one stays.
		runtime.LockOSThread()
		started <- c.cmd.Start()
		_ = c.cmd.Wait()
		_ = log.Close()
		close(c.done)
	}()
	return c, <-started
}

// stopAll ends children together, and those that don't end in time by force.
func stopAll(list []*child) {
	for _, c := range list {
		if c != nil && c.cmd.Process != nil {
			_ = c.cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	patience := time.After(8 * time.Second)
	for _, c := range list {
		if c == nil || c.cmd.Process == nil {
			continue
		}
		select {
		case <-c.done:
		case <-patience:
			_ = c.cmd.Process.Kill()
			<-c.done
		}
	}
}

// lastWords gives the end of a child's log.
func (d *demo) lastWords(c *child) string {
	raw, _ := os.ReadFile(d.path(c.name + ".log"))
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

func (d *demo) startServer(ctx context.Context) error {
	listen := d.base + ".0.1:7443"
	if err := os.MkdirAll(d.path("lists"), 0o700); err != nil {
		return err
	}
	c, err := d.start("server", nil, "server", "--data-dir", d.path("server"), "--listen", listen, "--metrics-listen", d.base+".0.1:7444",
		"--discovery-files", d.path("lists"), "--discovery-destinations", "127.0.0.0/8")
	d.server = c
	if err != nil {
		return err
	}
	return d.until(ctx, 30*time.Second, func() error {
		select {
		case <-c.done:
			return final{fmt.Errorf("it ended:\n%s", d.lastWords(c))}
		default:
		}
		text, err := os.ReadFile(d.path("server", "admin.token"))
		if err != nil {
			return err
		}
		hash, err := caHashOf(d.path("server", "ca.crt"))
		if err != nil {
			return err
		}
		to := namedContext{URL: "https://" + listen, CA: hash, Token: strings.TrimSpace(string(text))}
		if d.client, err = newClient(to, 10*time.Second); err != nil {
			return err
		}
		if err := d.client.get(ctx, "whoami", nil, nil); err != nil {
			return err
		}
		env := fmt.Sprintf("export WEIR_URL=%s WEIR_CA=%s WEIR_TOKEN=%s\n", to.URL, to.CA, to.Token)
		return os.WriteFile(d.path("env"), []byte(env), 0o600)
	})
}

func caHashOf(file string) (string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return "", fmt.Errorf("%s holds no certificate", file)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", err
	}
	return secrets.CAHash(cert), nil
}

// final is an error that waiting does not mend.
type final struct{ error }

// until tries until it works, ctx ends, or patience does.
func (d *demo) until(ctx context.Context, patience time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		if end := (final{}); errors.As(err, &end) {
			return end.error
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// apply sends manifests and gives the revision.
func (d *demo) apply(ctx context.Context, manifests, reason string) (int64, error) {
	var answer struct{ Revision int64 }
	err := d.client.do(ctx, call{
		method: http.MethodPost, path: "apply", query: url.Values{"reason": {reason}}, body: []byte(manifests),
		header: http.Header{"Content-Type": {"application/yaml"}},
	}, &answer)
	return answer.Revision, err
}

func (d *demo) declare(ctx context.Context) error {
	text := strings.ReplaceAll(demoObjects, "BASE", d.base)
	for zone := 1; zone <= 3; zone++ {
		for n := 1; n <= demoServers; n++ {
			text += d.serverObject(zone, n)
		}
	}
	certificate, err := demoCertificate("www.demo.example", "old.demo.example", "*.shop.demo.example", "*.demo.example")
	if err != nil {
		return err
	}
	_, err = d.apply(ctx, text+certificate, "the demo's objects")
	return err
}

// serverObject declares origin n of a zone; the last serves the API.
func (d *demo) serverObject(zone, n int) string {
	cluster := "web"
	if n == demoServers {
		cluster = "api"
	}
	return fmt.Sprintf("---\nkind: Server\nmetadata: {name: %s, role: web}\nspec: {address: %s, zone: az%d, clusters: [%s], ports: {http: %d}}\n",
		demoServer(zone, n), d.originAddress(zone, n), zone, cluster, d.ports.origin)
}

// demoCertificate makes a certificate of the demo's own, as an object.
func demoCertificate(names ...string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	now := time.Now()
	template := x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return "", err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	object := map[string]any{
		"kind": "Certificate", "metadata": map[string]string{"name": "www", "role": "web"},
		"spec": map[string]string{
			"chain": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
			"key":   string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})),
		},
	}
	raw, err := json.Marshal(object)
	return "---\n" + string(raw) + "\n", err
}

func (d *demo) startAgents(ctx context.Context) error {
	for i, name := range demoNames() {
		token, err := d.joinToken(ctx, i, name)
		if err != nil {
			return err
		}
		file := d.path(name + ".join")
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			return err
		}
		c, err := d.startAgent(name)
		if err != nil {
			return err
		}
		d.agents = append(d.agents, c)
	}
	return nil
}

func (d *demo) startAgent(name string) (*child, error) {
	return d.start(name, nil, "agent", "--dir", d.path(name), "--server", d.client.base.String(), "--haproxy", d.options.haproxy,
		"--name", name, "--join-file", d.path(name+".join"), "--stop-haproxy", "--ticket-keys-dir", d.memory()+"/"+name)
}

// memory is a folder in memory, for ticket keys.
func (d *demo) memory() string { return fmt.Sprintf("/dev/shm/weir-demo-%d", os.Getpid()) }

// joinToken makes the token that enrols load balancer i, with its part of loopback.
func (d *demo) joinToken(ctx context.Context, i int, name string) (string, error) {
	token := weir.Object{Kind: "Token", Metadata: weir.Metadata{Name: "join-" + name}}
	spec := fmt.Sprintf(`{"subject":"agent:%s","join":{"group":"edge","zone":"az%d","loadBalancer":%q,"localRanges":{"203.0.113.0/28":"%s.%d.0/28"},"localPorts":{"80":%d,"443":%d,"389":%d}}}`,
		name, demoZone(i), name, d.base, 11+i, d.ports.http, d.ports.https, d.ports.ldap)
	body, err := json.Marshal(map[string]any{"kind": token.Kind, "metadata": token.Metadata, "spec": json.RawMessage(spec)})
	if err != nil {
		return "", err
	}
	var answer struct{ Token string }
	err = d.client.do(ctx, call{method: http.MethodPost, path: "tokens", body: body}, &answer)
	return answer.Token, err
}

// fleet reads the state of the fleet.
func (d *demo) fleet(ctx context.Context) (api.FleetStatus, error) {
	var status api.FleetStatus
	err := d.client.get(ctx, "status", nil, &status)
	return status, err
}

func (d *demo) converge(ctx context.Context) error { return d.converged(ctx, 0, 30*time.Second) }

// converged waits until all six load balancers were read back to have a revision.
func (d *demo) converged(ctx context.Context, revision int64, patience time.Duration) error {
	return d.until(ctx, patience, func() error {
		for _, c := range d.agents {
			select {
			case <-c.done:
				return final{fmt.Errorf("the agent of %s ended:\n%s", c.name, d.lastWords(c))}
			default:
			}
		}
		status, err := d.fleet(ctx)
		if err != nil {
			return err
		}
		if status.Revision < revision || len(status.Groups) != 1 {
			return fmt.Errorf("revision %d is compiled, %d is waited for", status.Revision, revision)
		}
		if g := status.Groups[0]; g.Of != len(demoNames()) || g.Ready != g.Of {
			return fmt.Errorf("%d of %d load balancers, waiting for %s", g.Ready, len(demoNames()), strings.Join(g.Laggards, ", "))
		}
		return nil
	})
}
