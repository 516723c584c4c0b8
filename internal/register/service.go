// Package register runs on an application server: it checks the service there, tells the control plane, and keeps its
// word alive.
package register

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weir"
	"weir/internal/secrets"
)

// Service is what a file says of the service on this server.
type Service struct {
	// ControlPlane are URLs of the control plane's servers.
	ControlPlane []string `json:"controlPlane"`
	// CA pins the control plane's CA by its hash, or two with a comma while it is being changed.
	CA string `json:"ca"`
	// TokenFile holds the registration token; a relative path is looked for beside the file.
	TokenFile string `json:"tokenFile"`
	// Name is the server's; the machine's own up to the first dot when left out.
	Name string `json:"name,omitempty"`
	// Address is where load balancers reach the service; the one that the control plane sees when left out.
	Address  netip.Addr           `json:"address,omitzero"`
	Zone     string               `json:"zone,omitempty"`
	Clusters []string             `json:"clusters,omitempty"`
	Ports    map[string]weir.Port `json:"ports,omitempty"`
	Weight   *int                 `json:"weight,omitempty"`
	Labels   map[string]string    `json:"labels,omitempty"`
	// Checks must all pass for the server to take traffic.
	Checks []Check `json:"checks,omitempty"`
	// DrainTime is how long running requests have when the service stops; 10s when left out.
	DrainTime *weir.Duration `json:"drainTime,omitempty"`
}

// Check is one look at the service: exactly one of HTTP, TCP and Command.
type Check struct {
	// Name tells checks apart in messages; what it looks at when left out.
	Name    string        `json:"name,omitempty"`
	HTTP    *HTTPCheck    `json:"http,omitempty"`
	TCP     *TCPCheck     `json:"tcp,omitempty"`
	Command *CommandCheck `json:"command,omitempty"`
	// Interval is the pause between two looks, 2s when left out; Timeout how long one may take, 1s.
	Interval weir.Duration `json:"interval,omitempty"`
	Timeout  weir.Duration `json:"timeout,omitempty"`
	// Rise is how many good looks in a row it takes until the check passes, 2 when left out; Fall how many bad ones until
	// it fails, 2.
	Rise int `json:"rise,omitempty"`
	Fall int `json:"fall,omitempty"`
}

// HTTPCheck asks for a page.
type HTTPCheck struct {
	URL string `json:"url"`
	// Expect is the good statuses, "200" or "200-299", which it is when left out.
	Expect string `json:"expect,omitempty"`
}

// TCPCheck connects.
type TCPCheck struct {
	// Address is host:port.
	Address string `json:"address"`
}

// CommandCheck runs a program, without a shell; exit status 0 is good.
type CommandCheck struct {
	Argv []string `json:"argv"`
}

// The bounds of a file.
const (
	maxURLs    = 10
	maxChecks  = 50
	maxService = 1 << 20
)

// Read reads a file, strictly. The error has every mistake with file, line and field.
func Read(path string) (*Service, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read what to register: %w", err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxService+1))
	if err != nil {
		return nil, fmt.Errorf("read what to register: %w", err)
	}
	if len(text) > maxService {
		return nil, fmt.Errorf("read what to register: %s is longer than %d bytes", path, maxService)
	}
	s, err := parse(path, text)
	if err != nil {
		return nil, err
	}
	if !filepath.IsAbs(s.TokenFile) {
		s.TokenFile = filepath.Join(filepath.Dir(path), s.TokenFile)
	}
	return s, nil
}

func parse(path string, text []byte) (*Service, error) {
	s := &Service{}
	err := weir.DecodeFile(path, text, s, func(p *weir.Problems) {
		s.fill()
		s.validate(p)
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Service) fill() {
	if s.Name == "" {
		if host, err := os.Hostname(); err == nil {
			host, _, _ = strings.Cut(strings.ToLower(host), ".")
			s.Name = host
		}
	}
	if s.DrainTime == nil {
		s.DrainTime = new(weir.Duration(10 * time.Second))
	}
	for i := range s.Checks {
		s.Checks[i].fill()
	}
}

func (c *Check) fill() {
	if c.Interval == 0 {
		c.Interval = weir.Duration(2 * time.Second)
	}
	if c.Timeout == 0 {
		c.Timeout = weir.Duration(time.Second)
	}
	if c.Rise == 0 {
		c.Rise = 2
	}
	if c.Fall == 0 {
		c.Fall = 2
	}
	if c.HTTP != nil && c.HTTP.Expect == "" {
		c.HTTP.Expect = "200-299"
	}
	if c.Name == "" {
		c.Name = c.what()
	}
}

// what says what a check looks at.
func (c *Check) what() string {
	switch {
	case c.HTTP != nil:
		return c.HTTP.URL
	case c.TCP != nil:
		return c.TCP.Address
	case c.Command != nil && len(c.Command.Argv) > 0:
		return filepath.Base(c.Command.Argv[0])
	}
	return ""
}

func (s *Service) validate(p *weir.Problems) {
	if len(s.ControlPlane) == 0 {
		p.Add("controlPlane", "is required: the URLs of the control plane's servers, such as [https://weir.example.com:7443]")
	}
	if len(s.ControlPlane) > maxURLs {
		p.Add("controlPlane", "has %d URLs; at most %d are tried", len(s.ControlPlane), maxURLs)
	}
	for i, base := range s.ControlPlane {
		if u, err := url.Parse(base); err != nil || u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
			p.Add(fmt.Sprintf("controlPlane[%d]", i), "%.200q is no URL of a control plane, such as https://weir.example.com:7443", base)
			continue
		}
		s.ControlPlane[i] = strings.TrimRight(base, "/")
	}
	if _, err := secrets.CheckCAHashes(s.CA); err != nil {
		p.Add("ca", "%s", err)
	}
	if s.TokenFile == "" {
		p.Add("tokenFile", "is required: the file with the token that weir token registration printed")
	}
	if err := weir.CheckName(s.Name); err != nil {
		p.Add("name", "%s", err)
	}
	if *s.DrainTime < 0 || s.DrainTime.D() > time.Hour {
		p.Add("drainTime", "must be from 0s to 1h")
	}
	s.validateServer(p)
	if len(s.Checks) > maxChecks {
		p.Add("checks", "has %d checks; at most %d are made", len(s.Checks), maxChecks)
	}
	for i := range s.Checks {
		s.Checks[i].validate(p, fmt.Sprintf("checks[%d]", i))
	}
}

// validateServer holds what the service says of itself against the rules of a Server, as far as the token doesn't say it.
func (s *Service) validateServer(p *weir.Problems) {
	server := &weir.Server{Address: s.Address, Zone: s.Zone, Clusters: s.Clusters, Ports: s.Ports, Weight: s.Weight}
	if !s.Address.IsValid() {
		server.Address = netip.AddrFrom4([4]byte{192, 0, 2, 1})
	}
	if s.Zone == "" {
		server.Zone = "of-the-token"
	}
	server.Normalize()
	for _, broken := range weir.Validate(&weir.Object{Kind: "Server", Metadata: weir.Metadata{Name: "server", Labels: s.Labels}, Spec: server}) {
		path := strings.TrimPrefix(strings.TrimPrefix(broken.Path, "spec."), "metadata.")
		p.Add(path, "%s", broken.Message)
	}
}

func (c *Check) validate(p *weir.Problems, path string) {
	kinds := 0
	for _, there := range []bool{c.HTTP != nil, c.TCP != nil, c.Command != nil} {
		if there {
			kinds++
		}
	}
	if kinds != 1 {
		p.Add(path, "must have exactly one of http, tcp and command")
		return
	}
	switch {
	case c.HTTP != nil:
		if u, err := url.Parse(c.HTTP.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
			p.Add(path+".http.url", "must be a URL, such as http://127.0.0.1:8080/healthz")
		}
		if _, err := weir.ParseStatuses(c.HTTP.Expect); err != nil {
			p.Add(path+".http.expect", "%s", err)
		}
	case c.TCP != nil:
		_, port, err := net.SplitHostPort(c.TCP.Address)
		if err == nil {
			_, err = net.LookupPort("tcp", port)
		}
		if err != nil || port == "" || port == "0" {
			p.Add(path+".tcp.address", "must be an address and a port, such as 127.0.0.1:5432 or [::1]:5432")
		}
	case len(c.Command.Argv) == 0 || c.Command.Argv[0] == "":
		p.Add(path+".command.argv", "is required: the program and its arguments, such as [/usr/local/bin/check, --fast]")
	}
	span := func(field string, v weir.Duration, low, high time.Duration) {
		if v.D() < low || v.D() > high {
			p.Add(path+"."+field, "must be from %s to %s", weir.Duration(low), weir.Duration(high))
		}
	}
	span("interval", c.Interval, 100*time.Millisecond, 10*time.Minute)
	span("timeout", c.Timeout, 10*time.Millisecond, time.Minute)
	for field, n := range map[string]int{"rise": c.Rise, "fall": c.Fall} {
		if n < 1 || n > 100 {
			p.Add(path+"."+field, "must be from 1 to 100")
		}
	}
	if len(c.Name) > 100 || strings.ContainsFunc(c.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		p.Add(path+".name", "must be at most 100 bytes, without control characters")
	}
}
